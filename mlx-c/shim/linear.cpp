// The kernels of each instruction set, from one source, and the choice between them.
#include "linear.hpp"

#include <cstdlib>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace exo {
namespace {

/** IEEE 754 binary16 to binary32, subnormals and infinities included. */
inline float halfToFloat(uint16_t half) {
  uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  uint32_t rest = half & 0x7fff;
  float value;
  if (rest >= 0x7c00) {
    uint32_t bits = sign | 0x7f800000 | (rest & 0x3ff) << 13;
    std::memcpy(&value, &bits, 4);
    return value;
  }
  // Scaling by 2^112 moves the exponent's bias and makes subnormals normal.
  uint32_t bits = rest << 13, factor = 0x77800000;
  float magnitude, scale;
  std::memcpy(&magnitude, &bits, 4);
  std::memcpy(&scale, &factor, 4);
  value = magnitude * scale;
  uint32_t made;
  std::memcpy(&made, &value, 4);
  made |= sign;
  std::memcpy(&value, &made, 4);
  return value;
}

} // namespace

// GCC 12 takes the deliberately unset operand inside its own half-float intrinsic for a mistake.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#if defined(__x86_64__)

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")
namespace avx512 {
namespace {
#define EXO_LANES 16
#define EXO_ROWS 4
#define EXO_COUNT 6
#define EXO_WIDEN(b) reinterpret_cast<Vec>(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(reinterpret_cast<__m128i>(b))))
#define EXO_HALVES(p) reinterpret_cast<Vec>(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))))
#include "linear.inc"
#undef EXO_LANES
#undef EXO_ROWS
#undef EXO_COUNT
#undef EXO_HALVES
#undef EXO_WIDEN
} // namespace
constexpr Kernels table{"avx512", L, linear};
} // namespace avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
namespace avx2 {
namespace {
#define EXO_LANES 8
#define EXO_ROWS 4
#define EXO_COUNT 2
#define EXO_WIDEN(b) reinterpret_cast<Vec>(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(reinterpret_cast<int64_t>(b)))))
#define EXO_HALVES(p) reinterpret_cast<Vec>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))
#include "linear.inc"
#undef EXO_LANES
#undef EXO_ROWS
#undef EXO_COUNT
#undef EXO_HALVES
#undef EXO_WIDEN
} // namespace
constexpr Kernels table{"avx2", L, linear};
} // namespace avx2
#pragma GCC pop_options

#endif

namespace portable {
namespace {
#define EXO_LANES 4
#define EXO_ROWS 4
#define EXO_COUNT 4
#define EXO_WIDEN(b) Vec{float((b)[0]), float((b)[1]), float((b)[2]), float((b)[3])}
#define EXO_HALVES(p) Vec{halfToFloat((p)[0]), halfToFloat((p)[1]), halfToFloat((p)[2]), halfToFloat((p)[3])}
#include "linear.inc"
} // namespace
#if defined(__aarch64__)
constexpr Kernels table{"neon", L, linear};
#else
constexpr Kernels table{"portable", L, linear};
#endif
} // namespace portable

namespace {

const Kernels& choose() {
#if defined(__x86_64__)
  const char* told = std::getenv("EXO_CPU_KERNELS");
  bool plain = told && std::strcmp(told, "portable") == 0;
  bool narrow = told && std::strcmp(told, "avx2") == 0;
  bool has512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  bool has2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (!plain && !narrow && has512) return avx512::table;
  if (!plain && has2) return avx2::table;
#endif
  return portable::table;
}

} // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

} // namespace exo
