#include "numbers.hpp"

#include <cfloat>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace {

/** Bits of the fraction, the smallest normal exponent and the largest value of a float format. */
struct Format {
  int fraction, least;
  double largest;
};

Format formatOf(mlx_dtype type) {
  if (type == MLX_FLOAT16) return {10, -14, 65504};
  if (type == MLX_BFLOAT16) return {7, -126, 0x1.fep127};
  return {23, -126, FLT_MAX};
}

bool isFloat(mlx_dtype type) {
  return type == MLX_FLOAT32 || type == MLX_FLOAT16 || type == MLX_BFLOAT16;
}

template <class T>
T at(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
void put(T value, uint8_t* to) {
  std::memcpy(to, &value, sizeof value);
}

uint16_t halfOf(double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  double size = std::fabs(value);
  if (std::isnan(value)) return 0x7e01;
  if (std::isinf(value)) return sign | 0x7c00;
  if (size < 0x1p-14) return sign | static_cast<uint16_t>(size * 0x1p24);
  int exponent = std::ilogb(size);
  return sign | static_cast<uint16_t>((exponent + 15) << 10 | (static_cast<int>(std::ldexp(size, 10 - exponent)) & 0x3ff));
}

double ofHalf(uint16_t half) {
  int exponent = half >> 10 & 31, fraction = half & 0x3ff;
  double size = exponent == 31 ? (fraction ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity())
      : exponent == 0          ? fraction * 0x1p-24
                               : std::ldexp(1024 + fraction, exponent - 25);
  return half & 0x8000 ? -size : size;
}

float ofBrain(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

uint16_t brainOf(double value) {
  float narrow = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &narrow, 4);
  return static_cast<uint16_t>(std::isnan(value) ? 0x7fc1 : bits >> 16);
}

} // namespace

int bytesOf(mlx_dtype type) {
  switch (type) {
    case MLX_BOOL: case MLX_UINT8: case MLX_INT8: return 1;
    case MLX_FLOAT16: case MLX_BFLOAT16: case MLX_INT16: case MLX_UINT16: return 2;
    case MLX_INT64: case MLX_UINT64: return 8;
    default: return 4;
  }
}

const char* nameOf(mlx_dtype type) {
  switch (type) {
    case MLX_BOOL: return "bool";
    case MLX_UINT8: return "u8";
    case MLX_INT32: return "i32";
    case MLX_INT64: return "i64";
    case MLX_UINT32: return "u32";
    case MLX_FLOAT16: return "f16";
    case MLX_BFLOAT16: return "bf16";
    case MLX_FLOAT32: return "f32";
    default: return "other";
  }
}

double roundedTo(mlx_dtype type, double value) {
  if (!isFloat(type) || !std::isfinite(value) || value == 0) return value;
  Format format = formatOf(type);
  int exponent = std::max(std::ilogb(value), format.least);
  double step = std::ldexp(1.0, exponent - format.fraction), rounded = std::nearbyint(value / step) * step;
  if (std::fabs(rounded) <= format.largest) return rounded;
  return std::copysign(std::numeric_limits<double>::infinity(), value);
}

void encode(mlx_dtype type, double value, uint8_t* to) {
  switch (type) {
    case MLX_FLOAT32: return put(static_cast<float>(value), to);
    case MLX_FLOAT16: return put(halfOf(value), to);
    case MLX_BFLOAT16: return put(brainOf(value), to);
    case MLX_INT32: return put(static_cast<int32_t>(value), to);
    case MLX_INT64: return put(static_cast<int64_t>(value), to);
    case MLX_UINT32: return put(static_cast<uint32_t>(value), to);
    default: return put(static_cast<uint8_t>(value), to);
  }
}

double decode(mlx_dtype type, const uint8_t* from) {
  switch (type) {
    case MLX_FLOAT32: return at<float>(from);
    case MLX_FLOAT16: return ofHalf(at<uint16_t>(from));
    case MLX_BFLOAT16: return ofBrain(at<uint16_t>(from));
    case MLX_INT32: return at<int32_t>(from);
    case MLX_INT64: return static_cast<double>(at<int64_t>(from));
    case MLX_UINT32: return at<uint32_t>(from);
    default: return at<uint8_t>(from);
  }
}
