// Attention over keys and values that lie in a cache.
#include <algorithm>
#include <optional>
#include <string>

#include "guarded.hpp"
#include "kernels.h"
#include "kernels_attention.hpp"
#include "mlx/c/private/mlx.h"
#include "mlx/fast.h"
#include "pool.hpp"

namespace mx = mlx::core;

namespace exo {
namespace {

/** Up to so many query rows (positions of all heads that share keys) a key is read as it lies; for more, keys are transposed. */
constexpr size_t kFewRows = 16;
/** Query rows of one piece of work, where there are many. */
constexpr size_t kManyRows = 96;

/** An array whose last axis adjoins: itself, or a copy as floats; packed rows are copied as they are. */
class Straight {
 public:
  explicit Straight(const View& of) : view_(of) {
    if (of.columns() < 2 || of.strides.back() == 1) return;
    bool packed = of.dtype == mx::uint8;
    copy_.resize(of.size() * (packed ? 1 : sizeof(float)));
    for (size_t i = 0; i < of.rows(); ++i) {
      char* to = copy_.data() + i * of.columns() * (packed ? 1 : sizeof(float));
      if (!packed) kernels().read(of.type(), of.row(i), of.strides.back(), of.columns(), reinterpret_cast<float*>(to));
      else
        for (size_t d = 0; d < of.columns(); ++d) to[d] = of.row(i)[static_cast<int64_t>(d) * of.strides.back()];
    }
    view_.data = copy_.data();
    view_.dtype = packed ? mx::uint8 : mx::float32;
    view_.adjoining = true;
    int64_t stride = 1;
    for (size_t axis = of.shape.size(); axis-- > 0; stride *= of.shape[axis]) view_.strides[axis] = stride;
  }
  Straight(const Straight&) = delete;

  /** Element [batch, head, 0, 0]. */
  const void* at(size_t batch, size_t head) const {
    int64_t offset = static_cast<int64_t>(batch) * view_.strides[0] + static_cast<int64_t>(head) * view_.strides[1];
    return view_.data + offset * static_cast<int64_t>(mx::size_of(view_.dtype));
  }
  /** Bytes from one row to the next. */
  ptrdiff_t stride() const {
    return view_.strides[2] * static_cast<ptrdiff_t>(mx::size_of(view_.dtype));
  }
  const View& view() const {
    return view_;
  }

 private:
  View view_;
  std::vector<char> copy_;
};

/** What a piece of work needs besides its mixture. */
struct Space {
  std::vector<float> row, queries;
  std::vector<Sight> sights;
};

/** One evaluation of softmax(q k^T) v. */
class Evaluation {
 public:
  Evaluation(const std::vector<View>& inputs, const View& out, float scale, bool causal)
      : q_(inputs[0]), k_(inputs[1]), v_(inputs[2]), mask_(inputs.size() > 3 ? &inputs[3] : nullptr), out_(out), scale_(scale),
        causal_(causal), heads_(inputs[1].shape[1]), group_(inputs[0].shape[1] / heads_), length_(inputs[0].shape[2]),
        keys_(inputs[1].shape[2]) {}

  void run() {
    if (group_ * length_ <= kFewRows) few();
    else many();
  }

 private:
  /** Few rows: the keys are cut. */
  void few() {
    size_t pairs = q_.shape[0] * heads_;
    std::vector<Space> spaces(pairs);
    std::vector<Group> groups;
    for (size_t pair = 0; pair < pairs; ++pair) {
      Space& space = spaces[pair];
      gather(pair, 0, length_, space);
      groups.push_back({headOf(pair), {space.queries.data(), space.sights.data(), group_ * length_}, keys_});
    }
    attendGroups(groups, [&](size_t pair, size_t i, const float* mixed) {
      kernels().write(out_.type(), mixed, out_.columns(), out_.row(queryRow(pair, i / length_, i % length_)));
    });
  }

  /** Many rows: the queries are cut. */
  void many() {
    size_t positions = std::max<size_t>(1, kManyRows / group_), tiles = (length_ + positions - 1) / positions;
    parallel(q_.shape[0] * heads_ * tiles, 1, [&](size_t first, size_t last) {
      Space space;
      Mixtures mixtures(1, positions * group_, out_.columns());
      std::vector<float> row(out_.columns());
      for (size_t i = first; i < last; ++i) {
        size_t pair = i / tiles, from = i % tiles * positions, to = std::min(from + positions, length_);
        gather(pair, from, to, space);
        Queries queries{space.queries.data(), space.sights.data(), (to - from) * group_};
        kernels().attendMany(headOf(pair), queries, 0, keysFor(from, to), mixtures.at(0));
        for (size_t m = 0; m < queries.rows; ++m) {
          mixtures.join(m, 1, keys_, row.data());
          size_t at = queryRow(pair, m / (to - from), from + m % (to - from));
          kernels().write(out_.type(), row.data(), out_.columns(), out_.row(at));
        }
      }
    });
  }

  KeyValueHead headOf(size_t pair) const {
    const View &k = k_.view(), &v = v_.view();
    size_t batch = pair / heads_, head = pair % heads_;
    return {k_.at(batch, head), v_.at(batch, head), heldAs(k), heldAs(v), k_.stride(), v_.stride(), heldDims(k), heldDims(v)};
  }

  size_t queryRow(size_t pair, size_t member, size_t position) const {
    return (pair * group_ + member) * length_ + position;
  }

  /** Queries of positions [from, to) of every head of the group, scaled, and what they see. */
  void gather(size_t pair, size_t from, size_t to, Space& space) const {
    size_t dims = q_.columns();
    space.queries.resize((to - from) * group_ * dims);
    space.sights.clear();
    float* at = space.queries.data();
    for (size_t member = 0; member < group_; ++member) {
      for (size_t position = from; position < to; ++position, at += dims) {
        const float* row = q_.floats(queryRow(pair, member, position), space.row);
        for (size_t d = 0; d < dims; ++d) at[d] = row[d] * scale_;
        space.sights.push_back(sightOf(pair / heads_, pair % heads_ * group_ + member, position));
      }
    }
  }

  size_t limitOf(size_t position) const {
    return causal_ ? position + 1 + keys_ - std::min(keys_ + position + 1, length_) : keys_;
  }

  Sight sightOf(size_t batch, size_t head, size_t position) const {
    if (!mask_) return {limitOf(position), nullptr, 0};
    const size_t index[] = {batch, head, position, 0};
    int64_t offset = 0;
    size_t missing = 4 - mask_->shape.size();
    for (size_t axis = missing; axis < 3; ++axis)
      if (mask_->shape[axis - missing] > 1) offset += static_cast<int64_t>(index[axis]) * mask_->strides[axis - missing];
    bool each = !mask_->shape.empty() && mask_->shape.back() > 1;
    return {keys_, reinterpret_cast<const bool*>(mask_->data) + offset, each ? mask_->strides.back() : 0};
  }

  /** Keys that some position of [from, to) sees; all, where one sees nothing, because it then mixes all alike. */
  size_t keysFor(size_t from, size_t to) const {
    return limitOf(from) == 0 ? keys_ : limitOf(to - 1);
  }

  const View& q_;
  Straight k_, v_;
  const View* mask_;
  const View& out_;
  float scale_;
  bool causal_;
  size_t heads_, group_, length_, keys_;
};

/** Inputs are q, k, v and perhaps the mask. */
struct Attention {
  static constexpr const char* name = "ExoAttention";
  float scale;
  bool causal;

  bool operator==(const Attention&) const = default;

  void operator()(const std::vector<View>& inputs, const View& out) const {
    Evaluation(inputs, out, scale, causal).run();
  }
};

/** Keys and values may be of other types than the queries, as a cache holds them. */
bool fits(const mx::array& q, const mx::array& k, const mx::array& v) {
  return isFloat(q) && q.ndim() == 4 && k.ndim() == 4 && v.ndim() == 4 && isHeld(k, q.shape(3)) &&
      (isFloat(v) || v.dtype() == mx::uint8) && q.shape(0) == k.shape(0) && q.shape(0) == v.shape(0) && k.shape(1) > 0 &&
      k.shape(1) == v.shape(1) && q.shape(1) % k.shape(1) == 0 && k.shape(2) == v.shape(2);
}

bool fitsMask(const mx::array& mask, const mx::array& q, const mx::array& k) {
  if (mask.dtype() != mx::bool_ || mask.ndim() > 4) return false;
  const int wanted[] = {q.shape(0), q.shape(1), q.shape(2), k.shape(2)};
  for (int axis = -1; axis >= -static_cast<int>(mask.ndim()); --axis)
    if (mask.shape(axis) != 1 && mask.shape(axis) != wanted[4 + axis]) return false;
  return true;
}

} // namespace
} // namespace exo

extern "C" int exo_attention(
    mlx_array* res,
    const mlx_array q,
    const mlx_array k,
    const mlx_array v,
    float scale,
    int mask,
    const mlx_array mask_array,
    const mlx_stream s) {
  return exo::guarded([&] {
    auto stream = mlx_stream_get_(s);
    std::vector<mx::array> inputs{mlx_array_get_(q), mlx_array_get_(k), mlx_array_get_(v)};
    bool causal = mask == 1;
    std::optional<mx::array> seen;
    if (mask_array.ctx) seen = mlx_array_get_(mask_array);
    if (mask < 0 || mask > 1 || (causal && seen)) throw std::invalid_argument("the mask is 0, 1, or 0 with an array");
    bool ours = exo::fits(inputs[0], inputs[1], inputs[2]) && (!seen || exo::fitsMask(*seen, inputs[0], inputs[1]));
    if (!ours) {
      for (const auto& rows : {inputs[1], inputs[2]})
        if (rows.dtype() == mx::uint8) throw std::invalid_argument("packed keys and values need fitting shapes and a boolean mask");
      // MLX says what is wrong with shapes, and computes the rarer element types and masks.
      const char* mode = causal ? "causal" : seen ? "array" : "";
      auto made = mx::fast::scaled_dot_product_attention(inputs[0], inputs[1], inputs[2], scale, mode, seen, {}, false, stream);
      return mlx_array_set_(*res, std::move(made)), void();
    }
    mx::Shape shape = inputs[0].shape();
    shape[3] = static_cast<int>(exo::heldDims(inputs[2]));
    mx::Dtype type = inputs[0].dtype();
    if (seen) inputs.push_back(*seen);
    mlx_array_set_(*res, exo::lazy(std::move(shape), type, stream, exo::Attention{scale, causal}, std::move(inputs)));
  });
}
