// ggml's IQ types of under four bits: 8 or 4 weights at a time are a row of a codebook, with signs and a scale. Layouts and
// formulas are facts of the format (ggml-common.h, as in ggml_blocks.hpp); the codebooks come from the build (grids.ts).
#pragma once

#include <bit>

#include "ggml_blocks.hpp"
#include "ggml_grids.hpp"

namespace exo::ggml {

/** Seven signs of eight weights; the eighth makes the number of negative ones even. */
inline uint8_t eightSigns(uint32_t seven) {
  seven &= 127;
  return static_cast<uint8_t>(seven | (std::popcount(seven) & 1) << 7);
}

/** `Count` weights of a codebook's row, negative where a bit of `signs` is set. */
template <int Count>
void signedRow(const int8_t* row, uint8_t signs, int8_t* to) {
  for (int i = 0; i < Count; i++) to[i] = static_cast<int8_t>((signs >> i) & 1 ? -row[i] : row[i]);
}

/** Whole numbers with one scale, `zero` standing for 0: nothing but the scale is rounded. */
inline void whole(const int8_t* w, int zero, float scale, Group& g) {
  for (int i = 0; i < 32; i++) g.q[i] = static_cast<uint8_t>(w[i] + zero);
  g.scale = scale;
  g.bias = -static_cast<float>(zero) * static_cast<float>(Half(scale));
}

/** Sixteen weights of one scale, sixteen of another. */
inline void halves(const int8_t* w, float first, float second, Group& g) {
  float values[32];
  for (int i = 0; i < 32; i++) values[i] = (i < 16 ? first : second) * w[i];
  requantise(values, g);
}

struct IQ2_XXS {
  static constexpr int values = 256, bytes = 66, bits = 8;
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b);
    for (int i = 0; i < 8; i++) {
      const uint8_t* rows = b + 2 + 8 * i;
      const auto rest = load<uint32_t>(rows + 4);
      int8_t w[32];
      for (int k = 0; k < 4; k++) signedRow<8>(grids::kIQ2_XXS[rows[k]], eightSigns(rest >> (7 * k)), w + 8 * k);
      whole(w, 128, d * (0.5f + static_cast<float>(rest >> 28)) * 0.25f, g[i]);
    }
  }
};

struct IQ2_XS {
  static constexpr int values = 256, bytes = 74, bits = 8;
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b) * 0.25f;
    for (int i = 0; i < 8; i++) {
      const uint8_t scales = b[66 + i];
      int8_t w[32];
      for (int k = 0; k < 4; k++) {
        const auto word = load<uint16_t>(b + 2 + 8 * i + 2 * k);
        signedRow<8>(grids::kIQ2_XS[word & 511], eightSigns(word >> 9), w + 8 * k);
      }
      halves(w, d * (0.5f + (scales & 15)), d * (0.5f + (scales >> 4)), g[i]);
    }
  }
};

struct IQ2_S {
  static constexpr int values = 256, bytes = 82, bits = 8;
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b) * 0.25f;
    for (int i = 0; i < 8; i++) {
      const uint8_t high = b[66 + i], scales = b[74 + i];
      int8_t w[32];
      for (int k = 0; k < 4; k++) {
        const int row = b[2 + 4 * i + k] | ((high >> (2 * k)) & 3) << 8;
        signedRow<8>(grids::kIQ2_S[row], b[34 + 4 * i + k], w + 8 * k);
      }
      halves(w, d * (0.5f + (scales & 15)), d * (0.5f + (scales >> 4)), g[i]);
    }
  }
};

struct IQ3_XXS {
  static constexpr int values = 256, bytes = 98, bits = 8;
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b);
    for (int i = 0; i < 8; i++) {
      const auto rest = load<uint32_t>(b + 66 + 4 * i);
      int8_t w[32];
      for (int k = 0; k < 8; k++) {
        const uint8_t signs = eightSigns(rest >> (k / 2 * 7));
        signedRow<4>(grids::kIQ3_XXS[b[2 + 8 * i + k]], static_cast<uint8_t>(signs >> (k % 2 * 4)), w + 4 * k);
      }
      whole(w, 128, d * (0.5f + static_cast<float>(rest >> 28)) * 0.5f, g[i]);
    }
  }
};

struct IQ3_S {
  static constexpr int values = 256, bytes = 110, bits = 5;
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b);
    for (int i = 0; i < 8; i++) {
      const int scale = (b[106 + i / 2] >> (i % 2 * 4)) & 15;
      int8_t w[32];
      for (int k = 0; k < 8; k++) {
        const int row = b[2 + 8 * i + k] | ((b[66 + i] >> k) & 1) << 8;
        signedRow<4>(grids::kIQ3_S[row], static_cast<uint8_t>(b[74 + 4 * i + k / 2] >> (k % 2 * 4)), w + 4 * k);
      }
      whole(w, 16, d * static_cast<float>(1 + 2 * scale), g[i]);
    }
  }
};

/** What is added to each weight of the IQ1 types, before the scale: an eighth, or taken away where the bit is set. */
inline float eighth(bool negative) {
  return negative ? -0.125f : 0.125f;
}

struct IQ1_S {
  static constexpr int values = 256, bytes = 50, bits = 2;
  static void groups(const uint8_t* b, Group* g) {
    const float d = half(b);
    for (int i = 0; i < 8; i++) {
      const auto high = load<uint16_t>(b + 34 + 2 * i);
      for (int k = 0; k < 4; k++) {
        const int8_t* row = grids::kIQ1_S[b[2 + 4 * i + k] | ((high >> (3 * k)) & 7) << 8];
        for (int l = 0; l < 8; l++) g[i].q[8 * k + l] = static_cast<uint8_t>(row[l] + 1);
      }
      g[i].scale = d * static_cast<float>(2 * ((high >> 12) & 7) + 1);
      g[i].bias = g[i].scale * (eighth(high >> 15) - 1);
    }
  }
};

struct IQ1_M {
  static constexpr int values = 256, bytes = 56, bits = 8;
  static void groups(const uint8_t* b, Group* g) {
    uint16_t words[4];
    std::memcpy(words, b + 48, sizeof words);
    // The block's scale has one nibble on top of each word.
    uint16_t bits = 0;
    for (int i = 0; i < 4; i++) bits = static_cast<uint16_t>(bits | (words[i] >> 12) << (4 * i));
    const float d = half(reinterpret_cast<const uint8_t*>(&bits));
    for (int i = 0; i < 8; i++) {
      float w[32];
      for (int k = 0; k < 4; k++) {
        const int eight = 4 * i + k, sixteen = eight / 2;
        const int high = b[32 + sixteen] >> (eight % 2 * 4);
        const float scale = d * static_cast<float>(2 * ((words[sixteen / 4] >> (sixteen % 4 * 3)) & 7) + 1);
        const int8_t* row = grids::kIQ1_S[b[eight] | (high & 7) << 8];
        for (int l = 0; l < 8; l++) w[8 * k + l] = scale * (row[l] + eighth(high & 8));
      }
      requantise(w, g[i]);
    }
  }
};

} // namespace exo::ggml
