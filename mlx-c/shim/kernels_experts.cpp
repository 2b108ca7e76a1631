// Products with the weights of chosen experts (mixture of experts) as a primitive of MLX.
#include <algorithm>
#include <limits>
#include <numeric>

#include "centred.hpp"
#include "guarded.hpp"
#include "kernels.h"
#include "kernels_matrix.hpp"
#include "mlx/c/private/mlx.h"
#include "mlx/ops.h"
#include "pool.hpp"

namespace mx = mlx::core;

namespace exo {
namespace {

/** The (row of x, expert) pairs, in the order of their experts, so that each expert's weights are read once. */
struct Pairs {
  /** Of each pair in that order: its place in the result, and its row of x. */
  std::vector<size_t> place, row;
  /** Pairs of expert e are [begin[e], begin[e + 1]); those of experts that do not exist come last. */
  std::vector<size_t> begin;
  /** Experts that were chosen. */
  std::vector<size_t> chosen;

  Pairs(const View& x, const View& experts, size_t count) : begin(count + 2) {
    size_t pairs = experts.size();
    std::vector<size_t> expert(pairs);
    for (size_t p = 0; p < pairs; ++p) {
      expert[p] = std::min<size_t>(idAt(experts, p), count);
      ++begin[expert[p] + 1];
    }
    for (size_t e = 0; e < count; ++e)
      if (begin[e + 1] > 0) chosen.push_back(e);
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    std::vector<size_t> next(begin.begin(), begin.end() - 1);
    place.resize(pairs);
    row.resize(pairs);
    for (size_t p = 0; p < pairs; ++p) {
      size_t at = next[expert[p]]++;
      place[at] = p;
      row[at] = rowOf(x, experts, p);
    }
  }

  /** The pairs of each chosen expert that has many of them, or few. */
  std::vector<Part> parts(bool many) const {
    std::vector<Part> found;
    for (size_t e : chosen)
      if ((begin[e + 1] - begin[e] > kFewRows) == many) found.push_back({begin[e], begin[e + 1]});
    return found;
  }

  bool inOrder() const {
    return std::is_sorted(place.begin(), place.end());
  }

 private:
  static size_t idAt(const View& experts, size_t pair) {
    size_t columns = experts.columns();
    const char* row = experts.row(pair / columns);
    int64_t step = experts.strides.empty() ? 0 : experts.strides.back();
    return reinterpret_cast<const uint32_t*>(row)[static_cast<int64_t>(pair % columns) * step];
  }

  /** x [.., 1, K] is spread over the experts' shape as MLX broadcasts: an axis of one serves all. */
  static size_t rowOf(const View& x, const View& experts, size_t pair) {
    size_t row = 0, stride = 1, batch = x.shape.size() - 2;
    for (size_t axis = experts.shape.size(), of = batch; axis-- > 0 && of-- > 0;) {
      size_t index = pair % experts.shape[axis];
      pair /= experts.shape[axis];
      if (x.shape[of] != 1) row += index * stride;
      stride *= x.shape[of];
    }
    return row;
  }
};

/** x [.., 1, K], experts [.., k] uint32, weight [E, N, K], for packed ones scales and biases: [.., k, 1, N]. */
struct Experts {
  static constexpr const char* name = "ExoExperts";
  Packing packing;

  bool operator==(const Experts&) const = default;

  void operator()(const std::vector<View>& inputs, const View& out) const {
    const View &x = inputs[0], &w = inputs[2];
    size_t count = w.shape[0], rows = w.shape[1];
    Pairs pairs(x, inputs[1], count);
    bool direct = out.dtype == mx::float32 && pairs.inOrder();
    std::vector<float> made(direct ? 0 : out.size());
    float* to = direct ? reinterpret_cast<float*>(out.data) : made.data();
    multiply(inputs, pairs, to);
    float none = std::numeric_limits<float>::quiet_NaN();
    std::fill(to + pairs.begin[count] * rows, to + pairs.row.size() * rows, none);
    if (direct) return;
    int64_t bytes = mx::size_of(out.dtype);
    for (size_t p = 0; p < pairs.place.size(); ++p)
      kernels().write(out.type(), to + p * rows, rows, out.data + static_cast<int64_t>(pairs.place[p] * rows) * bytes);
  }

 private:
  void multiply(const std::vector<View>& inputs, const Pairs& pairs, float* out) const {
    const View& w = inputs[2];
    auto [bits, group, mode] = packing;
    size_t rows = w.shape[1], columns = inputs[0].columns();
    std::vector<char> weights, scales, biases;
    const char* data = ordered(w, weights);
    const char* scale = bits ? ordered(inputs[3], scales) : nullptr;
    const char* bias = bits && inputs.size() > 4 ? ordered(inputs[4], biases) : nullptr;
    Float type = inputs[bits ? 3 : 2].type();
    size_t weightBytes = rows * w.columns() * mx::size_of(w.dtype);
    size_t scaleBytes = bits ? rows * inputs[3].columns() * mx::size_of(inputs[3].dtype) : 0;
    size_t busiest = 0;
    for (size_t e : pairs.chosen) busiest = std::max(busiest, pairs.begin[e + 1] - pairs.begin[e]);
    Matrix matrix{data, scale, bias, rows, columns, bits, group, type, mode};
    matrix.centred = bias && areCentred(bias, scale);
    auto rowOf = [&](size_t p, std::vector<float>& space) { return inputs[0].floats(pairs.row[p], space); };
    PackedRows many(matrix, pairs.parts(true), rowOf);
    Factors few = fewOf(matrix, pairs, rowOf);
    // The rows of all chosen experts in one row of work: a few experts alone would not fill the threads.
    parallel(pairs.chosen.size() * rows, rowsPerPiece(columns * busiest), [&](size_t first, size_t last) {
      while (first < last) {
        size_t e = pairs.chosen[first / rows], from = first % rows, until = std::min(rows, from + last - first);
        Matrix own = matrix;
        own.data = data + e * weightBytes;
        own.scales = scale + e * scaleBytes;
        if (bias) own.biases = bias + e * scaleBytes;
        size_t begin = pairs.begin[e], end = pairs.begin[e + 1];
        float* to = out + begin * rows;
        if (end - begin > kFewRows) many.multiply(own, {begin, end}, to, rows, from, until);
        else few.multiply(own, begin, end - begin, to, rows, from, until);
        first += until - from;
      }
    });
  }

  /** The rows of x of those experts that have few of them, each in its place. */
  static Factors fewOf(const Matrix& matrix, const Pairs& pairs, const PackedRows::Row& x) {
    std::vector<size_t> rows;
    for (auto [begin, end] : pairs.parts(false))
      for (size_t p = begin; p < end; ++p) rows.push_back(p);
    Factors made(matrix, rows.empty() ? 0 : rows.back() + 1);
    made.make();
    parallel(rows.size(), grainOf(matrix.columns), [&](size_t first, size_t last) {
      std::vector<float> space;
      for (size_t i = first; i < last; ++i) made.set(rows[i], x(rows[i], space));
    });
    return made;
  }
};

bool fits(const mx::array& x, const mx::array& w, const mx::array& experts, size_t columns) {
  bool batched = isFloat(x) && x.ndim() >= 2 && x.shape(-2) == 1 && experts.ndim() >= 1 && w.ndim() == 3;
  if (!batched || static_cast<size_t>(x.shape(-1)) != columns || static_cast<int>(experts.ndim()) < x.ndim() - 2) return false;
  for (int axis = 1; axis <= x.ndim() - 2; ++axis) {
    int of = x.shape(-2 - axis);
    if (of != 1 && of != experts.shape(-axis)) return false;
  }
  return true;
}

mx::array product(
    const mx::array& x, const mx::array& experts, std::vector<mx::array> parts, Experts how, mx::Stream stream) {
  mx::Shape shape = experts.shape();
  shape.push_back(1);
  shape.push_back(parts[0].shape(1));
  std::vector<mx::array> inputs{x, mx::astype(experts, mx::uint32, stream)};
  inputs.insert(inputs.end(), parts.begin(), parts.end());
  return lazy(std::move(shape), x.dtype(), stream, how, std::move(inputs));
}

} // namespace
} // namespace exo

extern "C" int exo_expert_linear(
    mlx_array* res,
    const mlx_array x,
    const mlx_array weight,
    const mlx_array experts,
    bool sorted,
    const mlx_stream s) {
  return exo::guarded([&] {
    const auto &values = mlx_array_get_(x), &w = mlx_array_get_(weight), &ids = mlx_array_get_(experts);
    auto stream = mlx_stream_get_(s);
    bool ours = w.ndim() == 3 && exo::isFloat(w) && exo::fits(values, w, ids, w.shape(-1));
    mlx_array_set_(
        *res,
        ours ? exo::product(values, ids, {w}, exo::Experts{}, stream)
             : mx::gather_mm(values, mx::swapaxes(w, -1, -2, stream), std::nullopt, ids, sorted, stream));
  });
}

extern "C" int exo_quantized_expert_linear(
    mlx_array* res,
    const mlx_array x,
    const mlx_array weight,
    const mlx_array scales,
    const mlx_array biases,
    const mlx_array experts,
    int group_size,
    int bits,
    const char* mode,
    bool sorted,
    const mlx_stream s) {
  return exo::guarded([&] {
    const auto &values = mlx_array_get_(x), &ids = mlx_array_get_(experts);
    exo::PackedWeight w = exo::packedWeight(weight, scales, biases, group_size, bits, mode);
    auto stream = mlx_stream_get_(s);
    auto packing = w.packing();
    bool ours = packing && exo::fits(values, w.weight, ids, w.columns());
    auto made = ours ? exo::product(values, ids, w.inputs({}), exo::Experts{*packing}, stream)
                     : mx::gather_qmm(
                           values, w.weight, w.scales, w.biases, std::nullopt, ids, true, group_size, bits, mode, sorted, stream);
    mlx_array_set_(*res, std::move(made));
  });
}
