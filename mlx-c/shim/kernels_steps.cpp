// The steps of a layer while tokens are decoded: all that lies between one sum of the residual and the next, as one node.
#include "guarded.hpp"
#include "kernels.h"
#include "kernels_cached.hpp"
#include "kernels_layer.hpp"
#include "kernels_rows.hpp"
#include "mlx/c/private/mlx.h"

namespace mx = mlx::core;

namespace exo {
namespace {

void timedMultiply(const View& x, const std::vector<Product>& products) {
  size_t width = 0;
  for (const Product& product : products) width += product.weight.rows;
  Timed timed("ExoLinear", x.rows(), width);
  multiply(x, products);
}

/** Inputs: x, perhaps y, norm, the weights of gate, up and down. */
struct GatedStep {
  static constexpr const char* name = "ExoGatedStep";
  static constexpr bool parts = true;
  bool summed;
  float eps;
  std::vector<Form> forms;
  size_t width;

  bool operator==(const GatedStep&) const = default;

  void operator()(const std::vector<View>& inputs, const View& sums, const View& out) const {
    size_t rows = sums.rows(), hidden = sums.columns();
    Between space(rows * (hidden + 2 * width));
    float* x = space.take(rows * hidden);
    Reader weights(inputs, normed(inputs, summed, eps, sums, x));
    Product gate = weights.product(forms[0], space.take(rows * width)), up = weights.product(forms[1], space.take(rows * width));
    int count = static_cast<int>(rows);
    {
      Timed timed("ExoGated", rows, 2 * width);
      multiplyGated(View(x, {count, static_cast<int>(hidden)}), gate, up);
    }
    timedMultiply(View(gate.out, {count, static_cast<int>(width)}), {weights.product(forms[2], reinterpret_cast<float*>(out.data))});
  }
};

/** Inputs: x, perhaps y, norm, the weights of q, k, v and out, perhaps the norms of q and k, and what CachedAttention has after v. */
struct AttentionStep {
  static constexpr const char* name = "ExoAttentionStep";
  static constexpr bool parts = true;
  bool summed, headNorms;
  float eps, headEps;
  std::vector<Form> forms;
  /** Of q, k, v, and what is mixed of the values. */
  size_t widths[4];
  CachedAttention attention;

  bool operator==(const AttentionStep&) const = default;

  void operator()(const std::vector<View>& inputs, const View& sums, const View& out) const {
    size_t rows = sums.rows(), hidden = sums.columns();
    int count = static_cast<int>(rows);
    size_t total = hidden + 2 * (widths[0] + widths[1]) + widths[2] + widths[3];
    Between space(rows * total);
    float* x = space.take(rows * hidden);
    Reader weights(inputs, normed(inputs, summed, eps, sums, x));
    std::vector<Product> products;
    for (size_t i = 0; i < 3; ++i) products.push_back(weights.product(forms[i], space.take(rows * widths[i])));
    timedMultiply(View(x, {count, static_cast<int>(hidden)}), products);
    Product last = weights.product(forms[3], reinterpret_cast<float*>(out.data));
    std::vector<View> asked;
    for (size_t i = 0; i < 3; ++i) asked.push_back(View(products[i].out, {count, static_cast<int>(widths[i])}));
    for (size_t i = 0; headNorms && i < 2; ++i) {
      const View& norm = weights.next();
      int dims = static_cast<int>(norm.size()), heads = static_cast<int>(rows * widths[i]) / dims;
      View before(products[i].out, {heads, dims}), after(space.take(rows * widths[i]), {heads, dims});
      RmsNorm{headEps}({before, norm}, after);
      asked[i] = after;
    }
    size_t held = attention.places.size() * 2 + (attention.rotation.dims > 0 && attention.rotation.base == 0);
    for (size_t i = 0; i < held; ++i) asked.push_back(weights.next());
    View mixed(space.take(rows * widths[3]), {count, static_cast<int>(widths[3])});
    {
      Timed timed(CachedAttention::name, rows, widths[3]);
      attention(asked, mixed);
    }
    timedMultiply(mixed, {last});
  }
};

bool isRow(const mx::array& of, int columns) {
  return of.dtype() == mx::float32 && of.ndim() == 1 && of.shape(0) == columns;
}

/** x, y where there is one, and the norm that both steps begin with; whether they fit. */
bool takeResidual(Given& given, const mlx_array x, const mlx_array y) {
  const auto& values = mlx_array_get_(x);
  given.inputs.push_back(values);
  bool fits = values.dtype() == mx::float32 && values.ndim() > 0;
  if (y.ctx) {
    given.inputs.push_back(mlx_array_get_(y));
    fits = fits && given.inputs[1].dtype() == mx::float32 && given.inputs[1].shape() == values.shape();
  }
  const mx::array norm = given.next();
  return fits && isRow(norm, values.shape(-1));
}

template <class Operation>
void setPair(mlx_array* sum, mlx_array* made, Operation operation, Given& given, const mlx_stream s) {
  const mx::array like = given.inputs[0];
  auto pair = lazyPair(like, mlx_stream_get_(s), std::move(operation), std::move(given.inputs));
  mlx_array_set_(*sum, std::move(pair[0]));
  mlx_array_set_(*made, std::move(pair[1]));
}

/** Takes all inputs, and notes what they are in `step`; whether they fit. */
bool fits(AttentionStep& step, Given& given, const mlx_array x, const mlx_array y, const mlx_array freqs) {
  bool ours = takeResidual(given, x, y);
  size_t hidden = ours ? static_cast<size_t>(given.inputs[0].shape(-1)) : 0, count = step.attention.places.size();
  for (size_t i = 0; i < 4; ++i) {
    given.weight();
    size_t rows = static_cast<size_t>(given.rows), columns = static_cast<size_t>(given.columns);
    step.widths[i] = i < 3 ? rows : columns;
    ours = ours && (i < 3 ? columns : rows) == hidden;
  }
  step.headNorms = given.perhaps();
  if (step.headNorms) given.next();
  size_t before = given.inputs.size();
  for (size_t i = 0; i < 2 * count; ++i) given.next();
  if (freqs.ctx) given.inputs.push_back(mlx_array_get_(freqs));
  if (!ours || !given.ours || count == 0 || given.inputs[0].size() != count * hidden) return false;
  std::vector<mx::array> held(given.inputs.begin() + static_cast<std::ptrdiff_t>(before), given.inputs.end());
  try {
    step.attention.check(count * step.widths[0], count * step.widths[1], count * step.widths[2], held);
  } catch (const std::invalid_argument&) {
    // exo_cached_attention, which is asked then, says what is wrong with what it is given.
    return false;
  }
  int dims = static_cast<int>(heldDims(held[0]));
  for (size_t i = 0; step.headNorms && i < 2; ++i)
    if (!isRow(given.inputs[before - 2 + i], dims)) return false;
  step.summed = y.ctx != nullptr;
  step.forms = given.forms;
  return step.widths[0] / heldDims(held[0]) * heldDims(held[1]) == step.widths[3];
}

} // namespace
} // namespace exo

extern "C" int exo_gated_step(
    mlx_array* sum,
    mlx_array* made,
    const mlx_array x,
    const mlx_array y,
    const mlx_array* arrays,
    const int* packings,
    float eps,
    const mlx_stream s) {
  return exo::guarded([&] {
    exo::Given given(arrays, packings);
    bool ours = exo::takeResidual(given, x, y);
    int hidden = ours ? given.inputs[0].shape(-1) : 0;
    given.weight();
    int width = given.rows;
    ours = ours && given.columns == hidden;
    given.weight();
    ours = ours && given.columns == hidden && given.rows == width;
    given.weight();
    ours = ours && given.ours && given.columns == width && given.rows == hidden;
    if (!ours) return;
    exo::GatedStep step{y.ctx != nullptr, eps, given.forms, static_cast<size_t>(width)};
    exo::setPair(sum, made, std::move(step), given, s);
  });
}

extern "C" int exo_attention_step(
    mlx_array* sum,
    mlx_array* made,
    const mlx_array x,
    const mlx_array y,
    const mlx_array* arrays,
    const int* packings,
    float eps,
    float head_eps,
    const int* places,
    size_t count,
    float scale,
    int dims,
    bool traditional,
    mlx_optional_float base,
    float rope_scale,
    const mlx_array freqs,
    const mlx_stream s) {
  return exo::guarded([&] {
    exo::Given given(arrays, packings);
    exo::Rotation rotation{dims, traditional, base.has_value ? base.value : 0, rope_scale};
    exo::AttentionStep step{false, false, eps, head_eps, {}, {}, {rotation, scale, exo::placesOf(places, count)}};
    if (exo::fits(step, given, x, y, freqs)) exo::setPair(sum, made, std::move(step), given, s);
  });
}
