// Operations that go over rows one by one: normalisation, the gated product, rotation.
#include <algorithm>
#include <cmath>
#include <optional>

#include "guarded.hpp"
#include "kernels.h"
#include "kernels_rows.hpp"
#include "mlx/c/private/mlx.h"
#include "mlx/fast.h"
#include "mlx/ops.h"
#include "pool.hpp"

namespace mx = mlx::core;

namespace exo {
namespace {

/** Where a row of results is made: in the output itself, or in floats that are rounded into it. */
class Made {
 public:
  explicit Made(const View& out) : out_(out), scratch_(out.dtype == mx::float32 ? 0 : out.columns()) {}

  float* at(size_t row) {
    return scratch_.empty() ? reinterpret_cast<float*>(out_.row(row)) : scratch_.data();
  }

  void finish(size_t row) const {
    if (!scratch_.empty()) kernels().write(out_.type(), scratch_.data(), scratch_.size(), out_.row(row));
  }

 private:
  const View& out_;
  std::vector<float> scratch_;
};

struct SiluMul {
  static constexpr const char* name = "ExoSiluMul";

  bool operator==(const SiluMul&) const = default;

  void operator()(const std::vector<View>& inputs, const View& out) const {
    size_t columns = out.columns();
    parallel(out.rows(), grainOf(4 * columns), [&](size_t first, size_t last) {
      std::vector<float> gate, up;
      Made made(out);
      for (size_t i = first; i < last; ++i) {
        kernels().siluMul(inputs[0].floats(i, gate), inputs[1].floats(i, up), columns, made.at(i));
        made.finish(i);
      }
    });
  }
};

} // namespace

void RmsNorm::operator()(const std::vector<View>& inputs, const View& out) const {
  const View& x = inputs[0];
  std::vector<float> space;
  const float* weight = inputs[1].floats(0, space);
  parallel(x.rows(), grainOf(x.columns()), [&](size_t first, size_t last) {
    std::vector<float> row;
    Made made(out);
    for (size_t i = first; i < last; ++i) {
      kernels().norm(x.floats(i, row), weight, x.columns(), eps, made.at(i));
      made.finish(i);
    }
  });
}

void AddRmsNorm::operator()(const std::vector<View>& inputs, const View& sums, const View& normed) const {
  size_t columns = sums.columns();
  std::vector<float> space;
  const float* weight = inputs[2].floats(0, space);
  parallel(sums.rows(), grainOf(columns), [&](size_t first, size_t last) {
    std::vector<float> one, two, rounded;
    Made sum(sums), made(normed);
    for (size_t i = first; i < last; ++i) {
      const float *x = inputs[0].floats(i, one), *y = inputs[1].floats(i, two);
      float* to = sum.at(i);
      for (size_t d = 0; d < columns; ++d) to[d] = x[d] + y[d];
      sum.finish(i);
      kernels().norm(sums.floats(i, rounded), weight, columns, eps, made.at(i));
      made.finish(i);
    }
  });
}

} // namespace exo

extern "C" int exo_rms_norm(mlx_array* res, const mlx_array x, const mlx_array weight, float eps, const mlx_stream s) {
  return exo::guarded([&] {
    const auto& values = mlx_array_get_(x);
    const auto& w = mlx_array_get_(weight);
    auto stream = mlx_stream_get_(s);
    bool ours = exo::isFloat(values) && w.dtype() == values.dtype() && values.ndim() > 0 && w.ndim() == 1 &&
        w.shape(0) == values.shape(-1);
    // MLX says what is wrong with shapes, and computes the rarer element types.
    if (!ours) return mlx_array_set_(*res, mx::fast::rms_norm(values, w, eps, stream)), void();
    mlx_array_set_(*res, exo::lazy(values.shape(), values.dtype(), stream, exo::RmsNorm{eps}, {values, w}));
  });
}

extern "C" int exo_add_rms_norm(
    mlx_array* res, mlx_array* normed, const mlx_array x, const mlx_array y, const mlx_array weight, float eps, const mlx_stream s) {
  return exo::guarded([&] {
    const auto &one = mlx_array_get_(x), &two = mlx_array_get_(y), &w = mlx_array_get_(weight);
    auto stream = mlx_stream_get_(s);
    bool ours = exo::isFloat(one) && two.dtype() == one.dtype() && w.dtype() == one.dtype() && one.ndim() > 0 &&
        one.shape() == two.shape() && w.ndim() == 1 && w.shape(0) == one.shape(-1);
    if (ours) {
      auto made = exo::lazyPair(one, stream, exo::AddRmsNorm{eps}, {one, two, w});
      mlx_array_set_(*res, std::move(made[0]));
      mlx_array_set_(*normed, std::move(made[1]));
      return;
    }
    // MLX says what is wrong with shapes, and computes the rarer element types.
    auto sum = mx::add(one, two, stream);
    auto of = mx::fast::rms_norm(sum, w, eps, stream);
    mlx_array_set_(*res, std::move(sum));
    mlx_array_set_(*normed, std::move(of));
  });
}

extern "C" int exo_silu_mul(mlx_array* res, const mlx_array gate, const mlx_array up, const mlx_stream s) {
  return exo::guarded([&] {
    const auto& g = mlx_array_get_(gate);
    const auto& u = mlx_array_get_(up);
    auto stream = mlx_stream_get_(s);
    bool ours = exo::isFloat(g) && u.dtype() == g.dtype() && g.ndim() > 0 && g.shape() == u.shape();
    auto made = ours ? exo::lazy(g.shape(), g.dtype(), stream, exo::SiluMul{}, {g, u})
                     : mx::multiply(mx::multiply(g, mx::sigmoid(g, stream), stream), u, stream);
    mlx_array_set_(*res, std::move(made));
  });
}
