// Products with weights as primitives of MLX.
#include "centred.hpp"
#include "guarded.hpp"
#include "kernels.h"
#include "kernels_products.hpp"
#include "mlx/c/private/mlx.h"
#include "mlx/ops.h"

namespace mx = mlx::core;

namespace exo {
namespace {

/** x [.., K], weight [N, K], for packed ones scales and biases; last, if there is one, the bias [N] of a dense product. */
struct Linear {
  static constexpr const char* name = "ExoLinear";
  Packing packing;

  bool operator==(const Linear&) const = default;

  void operator()(const std::vector<View>& inputs, const View& out) const {
    std::vector<char> weights, scales, biases;
    const View& w = inputs[1];
    size_t rows = w.shape[0], columns = inputs[0].columns();
    auto [bits, group, mode] = packing;
    Matrix matrix{ordered(w, weights), nullptr, nullptr, rows, columns, bits, group, inputs[bits ? 2 : 1].type(), mode};
    if (bits) matrix.scales = ordered(inputs[2], scales);
    if (bits && inputs.size() > 3) matrix.biases = ordered(inputs[3], biases);
    matrix.centred = matrix.biases && areCentred(matrix.biases, matrix.scales);
    bool direct = out.dtype == mx::float32;
    std::vector<float> made(direct ? 0 : out.size());
    float* to = direct ? reinterpret_cast<float*>(out.data) : made.data();
    std::vector<float> added;
    const float* bias = bits == 0 && inputs.size() > 2 ? inputs[2].floats(0, added) : nullptr;
    multiply(inputs[0], {{matrix, bias, to}});
    if (!direct) kernels().write(out.type(), to, out.size(), out.data);
  }
};

mx::Shape productShape(const mx::array& x, const mx::array& w) {
  mx::Shape shape = x.shape();
  shape.back() = w.shape(0);
  return shape;
}

bool fits(const mx::array& x, const mx::array& w, size_t columns) {
  return isFloat(x) && x.ndim() > 0 && w.ndim() == 2 && static_cast<size_t>(x.shape(-1)) == columns;
}

} // namespace
} // namespace exo

extern "C" int exo_linear(mlx_array* res, const mlx_array x, const mlx_array weight, const mlx_array bias, const mlx_stream s) {
  return exo::guarded([&] {
    const auto& values = mlx_array_get_(x);
    const auto& w = mlx_array_get_(weight);
    auto stream = mlx_stream_get_(s);
    std::vector<mx::array> inputs{values, w};
    if (bias.ctx) inputs.push_back(mlx_array_get_(bias));
    bool ours = w.ndim() == 2 && exo::isFloat(w) && exo::fits(values, w, w.shape(1));
    if (bias.ctx) ours = ours && exo::isFloat(inputs[2]) && inputs[2].ndim() == 1 && inputs[2].shape(0) == w.shape(0);
    if (ours) {
      return mlx_array_set_(
          *res, exo::lazy(exo::productShape(values, w), values.dtype(), stream, exo::Linear{}, std::move(inputs))), void();
    }
    // MLX says what is wrong with shapes, and computes the rarer element types.
    auto turned = mx::swapaxes(w, -1, -2, stream);
    mlx_array_set_(
        *res, bias.ctx ? mx::addmm(inputs[2], values, turned, 1, 1, stream) : mx::matmul(values, turned, stream));
  });
}

extern "C" int exo_quantized_linear(
    mlx_array* res,
    const mlx_array x,
    const mlx_array weight,
    const mlx_array scales,
    const mlx_array biases,
    int group_size,
    int bits,
    const char* mode,
    const mlx_stream s) {
  return exo::guarded([&] {
    const auto& values = mlx_array_get_(x);
    exo::PackedWeight w = exo::packedWeight(weight, scales, biases, group_size, bits, mode);
    auto stream = mlx_stream_get_(s);
    auto packing = w.packing();
    bool ours = packing && exo::fits(values, w.weight, w.columns());
    auto made = ours ? exo::lazy(exo::productShape(values, w.weight), values.dtype(), stream, exo::Linear{*packing}, w.inputs({values}))
                     : mx::quantized_matmul(values, w.weight, w.scales, w.biases, true, group_size, bits, mode, stream);
    mlx_array_set_(*res, std::move(made));
  });
}
