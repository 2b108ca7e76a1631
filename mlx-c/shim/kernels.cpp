// Our products as primitives of MLX: lazy, evaluated on the CPU stream's thread, computed by the pool.
#include "kernels.h"

#include <stdexcept>
#include <algorithm>
#include <string>
#include <vector>

#include "guarded.hpp"
#include "linear.hpp"
#include "mlx/allocator.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/c/private/mlx.h"
#include "mlx/primitives.h"
#include "pool.hpp"

namespace mx = mlx::core;

namespace exo {
namespace {

/** Weight rows of one piece of work: a multiple of every tile, and enough to outweigh handing it over. */
constexpr size_t kGrain = 16;

Float floatOf(const mx::array& values) {
  if (values.dtype() == mx::float32) return Float::f32;
  if (values.dtype() == mx::float16) return Float::f16;
  if (values.dtype() == mx::bfloat16) return Float::bf16;
  throw std::invalid_argument("the element type must be float32, float16 or bfloat16");
}

/** x as the kernels want it: rows of floats, and for 4 bits each run of 2 * lanes columns as evens, then odds. */
void arrange(const float* x, size_t count, size_t lanes, bool split, float* to) {
  if (!split) {
    std::copy(x, x + count, to);
    return;
  }
  for (size_t run = 0; run < count; run += 2 * lanes) {
    for (size_t i = 0; i < lanes; ++i) {
      to[run + i] = x[run + 2 * i];
      to[run + lanes + i] = x[run + 2 * i + 1];
    }
  }
}

/** x [.., K] float32 row-major, then the weight's parts; the bias of a dense weight is added outside. */
class Linear : public mx::UnaryPrimitive {
 public:
  Linear(mx::Stream stream, int bits, int group) : UnaryPrimitive(stream), bits_(bits), group_(group) {}

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& out) override {
    out.set_data(mx::allocator::malloc(out.nbytes()));
    auto& encoder = mx::cpu::get_command_encoder(stream());
    for (const auto& input : inputs) encoder.set_input_array(input);
    encoder.set_output_array(out);
    std::vector<mx::array> held;
    for (const auto& input : inputs) held.push_back(mx::array::unsafe_weak_copy(input));
    encoder.dispatch([held = std::move(held), to = mx::array::unsafe_weak_copy(out), bits = bits_, group = group_]() mutable {
      compute(held, to, bits, group);
    });
  }

  void eval_gpu(const std::vector<mx::array>&, mx::array&) override {
    throw std::runtime_error("exo's products run on a CPU stream only");
  }

  const char* name() const override {
    return "ExoLinear";
  }

  bool is_equivalent(const Primitive& other) const override {
    const auto& linear = static_cast<const Linear&>(other);
    return linear.bits_ == bits_ && linear.group_ == group_;
  }

 private:
  static void compute(const std::vector<mx::array>& inputs, mx::array& out, int bits, int group) {
    const mx::array& x = inputs[0];
    const mx::array& w = inputs[1];
    size_t columns = x.shape(-1), rows = w.shape(0);
    if (out.size() == 0) return;
    size_t count = out.size() / rows;
    Matrix matrix{w.data<char>(), nullptr, nullptr, rows, columns, bits, group, floatOf(bits ? inputs[2] : w)};
    if (bits) {
      matrix.scales = inputs[2].data<char>();
      matrix.biases = inputs[3].data<char>();
    }
    const Kernels& set = kernels();
    const float* values = x.data<float>();
    std::vector<float> arranged;
    if (bits == 4) {
      arranged.resize(x.size());
      parallel(count, 64, [&](size_t first, size_t last) {
        arrange(values + first * columns, (last - first) * columns, set.lanes, true, arranged.data() + first * columns);
      });
      values = arranged.data();
    }
    float* to = out.data<float>();
    parallel(rows, kGrain, [&](size_t first, size_t last) { set.linear(matrix, values, count, to, rows, first, last); });
  }

  int bits_, group_;
};

mx::array contiguous(const mx::array& values, mx::Stream stream) {
  return mx::contiguous(values, false, stream);
}

/** The product in float32, given back in x's type. */
mx::array product(const mx::array& x, std::vector<mx::array> parts, size_t rows, int bits, int group, mx::Stream stream) {
  std::vector<mx::array> inputs{contiguous(mx::astype(x, mx::float32, stream), stream)};
  for (auto& part : parts) inputs.push_back(contiguous(part, stream));
  mx::Shape shape = x.shape();
  shape.back() = static_cast<int>(rows);
  mx::array made(std::move(shape), mx::float32, std::make_shared<Linear>(stream, bits, group), std::move(inputs));
  return mx::astype(made, x.dtype(), stream);
}

void checkShapes(const mx::array& x, const mx::array& w, size_t columns) {
  if (x.ndim() < 1 || w.ndim() != 2 || static_cast<size_t>(x.shape(-1)) != columns) {
    throw std::invalid_argument("x must end in the weight's " + std::to_string(columns) + " columns, and the weight be a matrix");
  }
  floatOf(x);
}

void checkPacked(const mx::array& w, const mx::array& scales, const mx::array& biases, int group, int bits) {
  if (bits != 4 && bits != 8) throw std::invalid_argument("bits must be 4 or 8, not " + std::to_string(bits));
  if (group != 32 && group != 64 && group != 128) {
    throw std::invalid_argument("the group size must be 32, 64 or 128, not " + std::to_string(group));
  }
  if (w.dtype() != mx::uint32) throw std::invalid_argument("a packed weight is uint32");
  bool shapes = w.ndim() == 2 && scales.ndim() == 2 && scales.shape() == biases.shape() && scales.dtype() == biases.dtype() &&
      scales.shape(0) == w.shape(0) && scales.shape(1) * group == w.shape(1) * 32 / bits;
  if (!shapes) throw std::invalid_argument("scales and biases must be [rows, columns / group size], alike in type");
  floatOf(scales);
}

} // namespace
} // namespace exo

extern "C" int exo_linear(mlx_array* res, const mlx_array x, const mlx_array weight, const mlx_array bias, const mlx_stream s) {
  return exo::guarded([&] {
    const auto& values = mlx_array_get_(x);
    const auto& w = mlx_array_get_(weight);
    auto stream = mlx_stream_get_(s);
    if (w.ndim() != 2) throw std::invalid_argument("the weight must be a matrix");
    exo::checkShapes(values, w, w.shape(1));
    exo::floatOf(w);
    auto made = exo::product(values, {w}, w.shape(0), 0, 0, stream);
    if (bias.ctx) made = mx::astype(mx::add(made, mlx_array_get_(bias), stream), values.dtype(), stream);
    mlx_array_set_(*res, std::move(made));
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
    const mlx_stream s) {
  return exo::guarded([&] {
    const auto& values = mlx_array_get_(x);
    const auto& w = mlx_array_get_(weight);
    const auto& scale = mlx_array_get_(scales);
    const auto& bias = mlx_array_get_(biases);
    exo::checkPacked(w, scale, bias, group_size, bits);
    exo::checkShapes(values, w, static_cast<size_t>(w.shape(1)) * 32 / bits);
    mlx_array_set_(*res, exo::product(values, {w, scale, bias}, w.shape(0), bits, group_size, mlx_stream_get_(s)));
  });
}

extern "C" const char* exo_kernel_path(void) {
  return exo::kernels().name;
}

extern "C" size_t exo_kernel_threads(void) {
  return static_cast<size_t>(exo::poolThreads());
}
