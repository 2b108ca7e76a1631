// Rotary position embedding.
#include <cmath>
#include <numeric>

#include "guarded.hpp"
#include "kernels.h"
#include "kernels_rope.hpp"
#include "mlx/c/private/mlx.h"
#include "mlx/fast.h"
#include "pool.hpp"

namespace mx = mlx::core;

namespace exo {
namespace {

/** base^(-i / half), exact to the last place of a float. */
std::vector<float> speedsOf(float base, size_t half) {
  std::vector<float> speeds(half);
  for (size_t i = 0; i < half; ++i) {
    speeds[i] = static_cast<float>(std::pow(static_cast<double>(base), -static_cast<double>(i) / static_cast<double>(half)));
  }
  return speeds;
}

/** Angles are float32 products of float32 positions, as in MLX and transformers, so that far positions agree with theirs. */
void turn(Angles& angles, const std::vector<float>& speeds, float scale, const std::vector<int>& positions) {
  if (angles.scale == scale && angles.positions == positions && angles.speeds == speeds) return;
  size_t half = speeds.size(), length = positions.size();
  angles = {speeds, scale, positions, std::vector<float>(length * half), std::vector<float>(length * half)};
  parallel(length, grainOf(32 * half), [&](size_t first, size_t last) {
    for (size_t l = first; l < last; ++l) {
      float position = static_cast<float>(positions[l]) * scale;
      for (size_t i = 0; i < half; ++i) {
        float angle = position * angles.speeds[i];
        angles.cosines[l * half + i] = std::cos(angle);
        angles.sines[l * half + i] = std::sin(angle);
      }
    }
  });
}

/** x [B, H, L, D], then perhaps the periods [dims / 2]. */
struct Rope {
  static constexpr const char* name = "ExoRope";
  Rotation rotation;
  int offset;

  bool operator==(const Rope&) const = default;

  void operator()(const std::vector<View>& inputs, const View& out) const {
    const View& x = inputs[0];
    size_t half = rotation.dims / 2, length = x.shape[2], columns = x.columns();
    std::vector<int> positions(length);
    std::iota(positions.begin(), positions.end(), offset);
    const Angles& angles = anglesOf(rotation, inputs.size() > 1 ? &inputs[1] : nullptr, positions);
    parallel(x.rows(), grainOf(2 * columns), [&](size_t first, size_t last) {
      std::vector<float> row, made(out.dtype == mx::float32 ? 0 : columns);
      for (size_t i = first; i < last; ++i) {
        const float* from = x.floats(i, row);
        float* to = made.empty() ? reinterpret_cast<float*>(out.row(i)) : made.data();
        size_t at = i % length * half;
        kernels().rotate(from, angles.cosines.data() + at, angles.sines.data() + at, half, rotation.traditional, to);
        for (size_t d = 2 * half; d < columns; ++d) to[d] = from[d];
        if (!made.empty()) kernels().write(out.type(), to, columns, out.row(i));
      }
    });
  }
};

} // namespace

const Angles& anglesOf(const Rotation& rotation, const View* periods, const std::vector<int>& positions) {
  static thread_local Angles angles;
  static thread_local std::vector<float> speeds;
  static thread_local float speedsBase = 0;
  size_t half = rotation.dims / 2;
  if (periods) {
    std::vector<float> space;
    const float* each = periods->floats(0, space);
    speeds.resize(half);
    for (size_t i = 0; i < half; ++i) speeds[i] = 1.0f / each[i];
    speedsBase = 0;
  } else if (speedsBase != rotation.base || speeds.size() != half) {
    speeds = speedsOf(rotation.base, half);
    speedsBase = rotation.base;
  }
  turn(angles, speeds, rotation.scale, positions);
  return angles;
}

} // namespace exo

extern "C" int exo_rope(
    mlx_array* res,
    const mlx_array x,
    int dims,
    bool traditional,
    mlx_optional_float base,
    float scale,
    int offset,
    const mlx_array freqs,
    const mlx_stream s) {
  return exo::guarded([&] {
    const auto& values = mlx_array_get_(x);
    auto stream = mlx_stream_get_(s);
    std::vector<mx::array> inputs{values};
    if (freqs.ctx) inputs.push_back(mlx_array_get_(freqs));
    bool ours = exo::isFloat(values) && values.ndim() == 4 && dims > 1 && dims % 2 == 0 && dims <= values.shape(3) &&
        base.has_value != (freqs.ctx != nullptr) && (!base.has_value || base.value > 0);
    if (freqs.ctx) ours = ours && inputs[1].dtype() == mx::float32 && inputs[1].ndim() == 1 && inputs[1].shape(0) == dims / 2;
    if (ours) {
      exo::Rope rope{{dims, traditional, base.has_value ? base.value : 0, scale}, offset};
      return mlx_array_set_(*res, exo::lazy(values.shape(), values.dtype(), stream, rope, std::move(inputs))), void();
    }
    auto given = base.has_value ? std::optional<float>(base.value) : std::nullopt;
    auto periods = freqs.ctx ? std::optional<mx::array>(inputs[1]) : std::nullopt;
    // MLX says what is wrong with shapes, and computes the rarer element types.
    mlx_array_set_(*res, mx::fast::rope(values, dims, traditional, given, scale, offset, periods, stream));
  });
}
