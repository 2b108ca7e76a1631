// The kernels of each instruction set, from one source, and the choice between them.
#include "kernels.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "settings.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
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

/** binary32 to binary16, rounded to nearest with ties to even. */
[[maybe_unused]] inline uint16_t floatToHalf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) return sign | 0x7e00;
  // From 65520 on the nearest half is infinity.
  if (bits >= 0x477ff000) return sign | 0x7c00;
  if (bits < 0x38800000) {
    // Below 2^-14 halves are multiples of 2^-24, as are floats around 0.5.
    float magnitude;
    std::memcpy(&magnitude, &bits, 4);
    magnitude += 0.5f;
    std::memcpy(&bits, &magnitude, 4);
    return sign | static_cast<uint16_t>(bits - 0x3f000000);
  }
  bits += 0xfff + (bits >> 13 & 1) - 0x38000000;
  return sign | static_cast<uint16_t>(bits >> 13);
}

} // namespace

// GCC 12 takes the deliberately unset operand inside its own half-float intrinsic for a mistake.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#if defined(__x86_64__)

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")
namespace avx512 {
#include "kernels_avx512.inc"
constexpr Kernels table = tableOf("avx512f");
} // namespace avx512
#pragma GCC target("avx512vnni")
namespace avx512vnni {
#define EXO_DOT(sum, u, s) \
  reinterpret_cast<Ints>(_mm512_dpbusd_epi32( \
      reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(u), reinterpret_cast<__m512i>(s)))
// With the intrinsic GCC 12 copies every one of a tile's sums through memory.
#define EXO_DOT_PAIRS(sum, u, s) asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(u), "v"(s))
#include "kernels_avx512.inc"
constexpr Kernels table = tableOf("avx512");
} // namespace avx512vnni
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
namespace avx2 {
/** Products in pairs, then in fours: of codes below 128 two fit into 16 bits. */
inline __m256i dotLow(__m256i sum, __m256i u, __m256i s) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(u, s), _mm256_set1_epi16(1)));
}
#define EXO_DOT_LOW(sum, u, s) \
  reinterpret_cast<Ints>( \
      dotLow(reinterpret_cast<__m256i>(sum), reinterpret_cast<__m256i>(u), reinterpret_cast<__m256i>(s)))
#define EXO_DOT(sum, u, s) EXO_DOT_LOW(EXO_DOT_LOW(sum, (u) & 0x7f7f7f7f, s), (u) & 0x80808080, s)
#include "kernels_avx2.inc"
constexpr Kernels table = tableOf("avx2");
} // namespace avx2
#pragma GCC target("avxvnni")
namespace avxvnni {
#define EXO_DOT(sum, u, s) \
  reinterpret_cast<Ints>(_mm256_dpbusd_avx_epi32( \
      reinterpret_cast<__m256i>(sum), reinterpret_cast<__m256i>(u), reinterpret_cast<__m256i>(s)))
#include "kernels_avx2.inc"
constexpr Kernels table = tableOf("avxvnni");
} // namespace avxvnni
#pragma GCC pop_options

#endif

#if defined(__aarch64__)

namespace neonf {
#include "kernels_portable.inc"
constexpr Kernels table = tableOf("neonf");
} // namespace neonf

#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
namespace neon {
/** Codes below 128 are alike with a sign. */
inline int32x4_t dotLow(int32x4_t sum, int8x16_t u, int8x16_t s) {
  return vdotq_s32(sum, u, s);
}
/** u - 128 has a sign; 128 times the sum of s makes up for it. */
inline int32x4_t dot(int32x4_t sum, int8x16_t u, int8x16_t s) {
  int8x16_t half = vdupq_n_s8(64);
  sum = vdotq_s32(vdotq_s32(sum, half, s), half, s);
  return vdotq_s32(sum, veorq_s8(u, vdupq_n_s8(-128)), s);
}
#define EXO_DOT_LOW(sum, u, s) \
  reinterpret_cast<Ints>( \
      dotLow(reinterpret_cast<int32x4_t>(sum), reinterpret_cast<int8x16_t>(u), reinterpret_cast<int8x16_t>(s)))
#define EXO_DOT(sum, u, s) \
  reinterpret_cast<Ints>(dot(reinterpret_cast<int32x4_t>(sum), reinterpret_cast<int8x16_t>(u), reinterpret_cast<int8x16_t>(s)))
#include "kernels_portable.inc"
constexpr Kernels table = tableOf("neon");
} // namespace neon
#pragma GCC pop_options

#else

namespace portable {
/** Bytes 4i to 4i + 3 as floats, with SSE2, which every x86-64 processor has. */
template <size_t i>
inline __m128 widenedBytes(__m128i bytes) {
  __m128i none = _mm_setzero_si128();
  __m128i half = i < 2 ? _mm_unpacklo_epi8(bytes, none) : _mm_unpackhi_epi8(bytes, none);
  return _mm_cvtepi32_ps(i % 2 == 0 ? _mm_unpacklo_epi16(half, none) : _mm_unpackhi_epi16(half, none));
}

/** Four of what halfToFloat does. */
inline __m128 widenedHalves(const uint16_t* at) {
  __m128i halves = _mm_unpacklo_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)), _mm_setzero_si128());
  __m128i rest = _mm_and_si128(halves, _mm_set1_epi32(0x7fff));
  __m128i shifted = _mm_slli_epi32(rest, 13);
  __m128 scaled = _mm_mul_ps(_mm_castsi128_ps(shifted), _mm_castsi128_ps(_mm_set1_epi32(0x77800000)));
  __m128i special = _mm_cmpgt_epi32(rest, _mm_set1_epi32(0x7bff));
  __m128i marked = _mm_or_si128(_mm_castps_si128(scaled), _mm_and_si128(special, _mm_set1_epi32(0x7f800000)));
  __m128i sign = _mm_slli_epi32(_mm_xor_si128(halves, rest), 16);
  return _mm_castsi128_ps(_mm_or_si128(marked, sign));
}
#include "kernels_portable.inc"
constexpr Kernels table = tableOf("portable");
} // namespace portable

#endif

namespace {

/** A set of this library, and whether this processor can run it. */
struct Offer {
  const Kernels* table;
  bool usable;
  const char* name = table->name;
};

/** Best first; the last one runs everywhere. */
std::vector<Offer> offers() {
#if defined(__x86_64__)
  bool has512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  bool has2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  bool has2vnni = has2 && __builtin_cpu_supports("avxvnni");
  std::vector<Offer> lower{{&avxvnni::table, has2vnni}, {&avx2::table, has2}, {&portable::table, true}};
  // The better one of the two with AVX-512 goes by that name; the other one has a name of its own, so that tests reach it.
  std::vector<Offer> all{{&avx512::table, has512, "avx512"}};
  if (has512 && __builtin_cpu_supports("avx512vnni")) all = {{&avx512vnni::table, true}, {&avx512::table, true}};
  all.insert(all.end(), lower.begin(), lower.end());
  return all;
#elif defined(__linux__)
  bool hasDots = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  return {{&neon::table, hasDots}, {&neonf::table, true}};
#else
  // Every Mac with an arm64 processor.
  return {{&neon::table, true}, {&neonf::table, true}};
#endif
}

const Kernels& setOf(const char* told) {
  auto all = offers();
  std::vector<SetOffered> named;
  for (const Offer& offer : all) named.push_back({offer.name, offer.usable});
  return *all[setTold(told, named)].table;
}

const char* settingTold() {
  return std::getenv("EXO_CPU_KERNELS");
}

/** A wrong setting is told by checkKernelSetting(); whoever did not ask gets the best. */
const Kernels& choose() {
  try {
    return setOf(settingTold());
  } catch (const SettingError&) {
    return setOf(nullptr);
  }
}

} // namespace

bool kernelsUnwanted() {
  const char* told = settingTold();
  return told && std::strcmp(told, "mlx") == 0;
}

void checkKernelSetting() {
  setOf(settingTold());
}

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

} // namespace exo
