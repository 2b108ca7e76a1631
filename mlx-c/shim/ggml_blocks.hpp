// How each ggml block type spells 32 weights, and how MLX does. Block layouts and formulas are facts of the format,
// https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h; MLX's packing is described at
// https://ml-explore.github.io/mlx/build/html/python/_autosummary/mlx.core.quantize.html
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "mlx/types/half_types.h"

namespace exo::ggml {

using Half = mlx::core::float16_t;

/** MLX's affine group: 32 unsigned integers, value = scale · q + bias. */
struct Group {
  alignas(8) uint8_t q[32];
  float scale;
  float bias;
};

inline float half(const uint8_t* bytes) {
  Half value;
  std::memcpy(&value, bytes, 2);
  return static_cast<float>(value);
}

template <class T>
T load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

/** Sixteen bytes hold values 0 to 15 in their low nibbles and 16 to 31 in their high ones. */
inline void nibbles(const uint8_t* bytes, uint8_t* q) {
  for (int i = 0; i < 16; i++) {
    q[i] = bytes[i] & 15;
    q[i + 16] = bytes[i] >> 4;
  }
}

/** Eight values of `Bits` bits, one per byte, become the low `Bits` bytes of the result, first value lowest. */
template <int Bits>
uint64_t squeeze(uint64_t x) {
  x = (x & 0x00ff00ff00ff00ff) | ((x & 0xff00ff00ff00ff00) >> (8 - Bits));
  x = (x & 0x0000ffff0000ffff) | ((x & 0xffff0000ffff0000) >> (16 - 2 * Bits));
  return (x & 0x00000000ffffffff) | ((x & 0xffffffff00000000) >> (32 - 4 * Bits));
}

/** A group's integers as MLX stores them: value i at bit i · Bits, running across words. Writes 4 · Bits bytes. */
template <int Bits>
void pack(const uint8_t* q, uint8_t* to) {
  for (int i = 0; i < 4; i++, q += 8, to += Bits) {
    uint64_t packed = squeeze<Bits>(load<uint64_t>(q));
    std::memcpy(to, &packed, Bits);
  }
}

/** The nearest half that is not under x (`up`) or not over it. */
inline float halfBeside(float x, bool up) {
  Half near(x);
  const float value = static_cast<float>(near);
  if (up ? value >= x : value <= x) return value;
  uint16_t bits;
  std::memcpy(&bits, &near, 2);
  if (value == 0) bits = up ? 0x0001 : 0x8001;
  else bits = static_cast<uint16_t>(up == (value > 0) ? bits + 1 : bits - 1);
  std::memcpy(&near, &bits, 2);
  return static_cast<float>(near);
}

/** 32 weights on an even grid of 256 steps: no weight moves by more than 1/510 of the group's range and a half's rounding. */
inline void requantise(const float* w, Group& g) {
  auto [low, high] = std::minmax_element(w, w + 32);
  g.bias = halfBeside(*low, false);
  g.scale = halfBeside((*high - g.bias) / 255, true);
  float steps = g.scale > 0 ? 1 / g.scale : 0;
  for (int i = 0; i < 32; i++) {
    g.q[i] = static_cast<uint8_t>(std::clamp((w[i] - g.bias) * steps + 0.5f, 0.0f, 255.0f));
  }
}

struct Q4_0 {
  static constexpr int values = 32, bytes = 18, bits = 4;
  static constexpr bool centred = true;
  static void groups(const uint8_t* b, Group* g) {
    nibbles(b + 2, g->q);
    g->scale = half(b);
    g->bias = -8 * g->scale;
  }
};

struct Q4_1 {
  static constexpr int values = 32, bytes = 20, bits = 4;
  static void groups(const uint8_t* b, Group* g) {
    nibbles(b + 4, g->q);
    g->scale = half(b);
    g->bias = half(b + 2);
  }
};

inline void fifthBits(uint32_t high, uint8_t* q) {
  for (int i = 0; i < 32; i++) q[i] |= ((high >> i) & 1) << 4;
}

struct Q5_0 {
  static constexpr int values = 32, bytes = 22, bits = 5;
  static constexpr bool centred = true;
  static void groups(const uint8_t* b, Group* g) {
    nibbles(b + 6, g->q);
    fifthBits(load<uint32_t>(b + 2), g->q);
    g->scale = half(b);
    g->bias = -16 * g->scale;
  }
};

struct Q5_1 {
  static constexpr int values = 32, bytes = 24, bits = 5;
  static void groups(const uint8_t* b, Group* g) {
    nibbles(b + 8, g->q);
    fifthBits(load<uint32_t>(b + 4), g->q);
    g->scale = half(b);
    g->bias = half(b + 2);
  }
};

struct Q8_0 {
  static constexpr int values = 32, bytes = 34, bits = 8;
  static constexpr bool centred = true;
  static void groups(const uint8_t* b, Group* g) {
    for (int i = 0; i < 32; i++) g->q[i] = b[2 + i] ^ 0x80;
    g->scale = half(b);
    g->bias = -128 * g->scale;
  }
};

struct Q2_K {
  static constexpr int values = 256, bytes = 84, bits = 8;
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b + 80), m = half(b + 82);
    for (int i = 0; i < 8; i++) {
      const uint8_t* q = b + 16 + i / 4 * 32;
      float w[32];
      for (int l = 0; l < 32; l++) {
        const uint8_t scale = b[2 * i + l / 16];
        w[l] = d * (scale & 15) * ((q[l] >> (i % 4 * 2)) & 3) - m * (scale >> 4);
      }
      requantise(w, g[i]);
    }
  }
};

struct Q3_K {
  static constexpr int values = 256, bytes = 110, bits = 8;
  /** Sixteen 6-bit scales: low nibbles in bytes 0 to 7, high pairs of bits in bytes 8 to 11. */
  static int scale(const uint8_t* s, int i) {
    const int low = i < 8 ? s[i] & 15 : s[i - 8] >> 4;
    return (low | ((s[8 + i % 4] >> (i / 4 * 2)) & 3) << 4) - 32;
  }
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b + 108);
    for (int i = 0; i < 8; i++) {
      const uint8_t* q = b + 32 + i / 4 * 32;
      float w[32];
      for (int l = 0; l < 32; l++) {
        const int value = ((q[l] >> (i % 4 * 2)) & 3) - ((b[l] >> i) & 1 ? 0 : 4);
        w[l] = d * scale(b + 96, 2 * i + l / 16) * value;
      }
      requantise(w, g[i]);
    }
  }
};

/** Eight 6-bit scales and minima in twelve bytes. */
inline std::array<int, 2> scaleAndMinimum(const uint8_t* s, int i) {
  if (i < 4) return {s[i] & 63, s[i + 4] & 63};
  return {(s[i + 4] & 15) | (s[i - 4] >> 6) << 4, s[i + 4] >> 4 | (s[i] >> 6) << 4};
}

struct Q4_K {
  static constexpr int values = 256, bytes = 144, bits = 4;
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b), m = half(b + 2);
    for (int i = 0; i < 8; i++) {
      const auto [scale, minimum] = scaleAndMinimum(b + 4, i);
      for (int l = 0; l < 32; l++) g[i].q[l] = (b[16 + i / 2 * 32 + l] >> (i % 2 * 4)) & 15;
      g[i].scale = d * scale;
      g[i].bias = -m * minimum;
    }
  }
};

struct Q5_K {
  static constexpr int values = 256, bytes = 176, bits = 5;
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b), m = half(b + 2);
    for (int i = 0; i < 8; i++) {
      const auto [scale, minimum] = scaleAndMinimum(b + 4, i);
      for (int l = 0; l < 32; l++) {
        g[i].q[l] = ((b[48 + i / 2 * 32 + l] >> (i % 2 * 4)) & 15) | ((b[16 + l] >> i) & 1) << 4;
      }
      g[i].scale = d * scale;
      g[i].bias = -m * minimum;
    }
  }
};

struct Q6_K {
  static constexpr int values = 256, bytes = 210, bits = 8;
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b + 208);
    for (int i = 0; i < 8; i++) {
      const uint8_t* low = b + i / 4 * 64 + i % 2 * 32;
      const uint8_t* high = b + 128 + i / 4 * 32;
      const float even = d * static_cast<int8_t>(b[192 + 2 * i]), odd = d * static_cast<int8_t>(b[193 + 2 * i]);
      float w[32];
      for (int l = 0; l < 32; l++) {
        const int q = ((low[l] >> (i % 4 / 2 * 4)) & 15) | ((high[l] >> (i % 4 * 2)) & 3) << 4;
        w[l] = (l < 16 ? even : odd) * (q - 32);
      }
      requantise(w, g[i]);
    }
  }
};

struct Q8_K {
  static constexpr int values = 256, bytes = 292, bits = 8;
  static void groups(const uint8_t* b, Group* g) {
    const float d = load<float>(b);
    for (int i = 0; i < 8; i++) {
      for (int l = 0; l < 32; l++) g[i].q[l] = b[4 + 32 * i + l] ^ 0x80;
      g[i].scale = d;
      g[i].bias = -128 * static_cast<float>(Half(d));
    }
  }
};

/** The sixteen levels of the IQ4 types. */
constexpr int8_t kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

inline void levels(const uint8_t* bytes, float scale, Group& g) {
  nibbles(bytes, g.q);
  for (auto& q : g.q) q = static_cast<uint8_t>(kLevels[q] + 128);
  g.scale = scale;
  // Of the rounded scale, so that the level 0 of the grid stays where it was.
  g.bias = -128 * static_cast<float>(Half(scale));
}

struct IQ4_NL {
  static constexpr int values = 32, bytes = 18, bits = 8;
  static void groups(const uint8_t* b, Group* g) {
    levels(b + 2, half(b), *g);
  }
};

struct IQ4_XS {
  static constexpr int values = 256, bytes = 136, bits = 8;
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b);
    const auto high = load<uint16_t>(b + 2);
    for (int i = 0; i < 8; i++) {
      const int scale = ((b[4 + i / 2] >> (i % 2 * 4)) & 15) | ((high >> (2 * i)) & 3) << 4;
      levels(b + 8 + 16 * i, d * (scale - 32), g[i]);
    }
  }
};

/** The next base-3 digit of a byte that holds five of them as a fraction of 256, first digit on top. */
inline uint8_t digit(uint8_t byte, int index) {
  static constexpr uint8_t powers[5] = {1, 3, 9, 27, 81};
  return static_cast<uint8_t>((static_cast<uint8_t>(byte * powers[index]) * 3) >> 8);
}

struct TQ1_0 {
  static constexpr int values = 256, bytes = 54, bits = 2;
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b + 52);
    uint8_t q[256];
    int n = 0;
    for (int k = 0; k < 5; k++) for (int j = 0; j < 32; j++) q[n++] = digit(b[j], k);
    for (int k = 0; k < 5; k++) for (int j = 32; j < 48; j++) q[n++] = digit(b[j], k);
    for (int k = 0; k < 4; k++) for (int j = 48; j < 52; j++) q[n++] = digit(b[j], k);
    for (int i = 0; i < 8; i++) {
      std::memcpy(g[i].q, q + 32 * i, 32);
      g[i].scale = d;
      g[i].bias = -d;
    }
  }
};

struct TQ2_0 {
  static constexpr int values = 256, bytes = 66, bits = 2;
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b + 64);
    for (int i = 0; i < 8; i++) {
      for (int l = 0; l < 32; l++) g[i].q[l] = (b[i / 4 * 32 + l] >> (i % 4 * 2)) & 3;
      g[i].scale = d;
      g[i].bias = -d;
    }
  }
};

} // namespace exo::ggml
