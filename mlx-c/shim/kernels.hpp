// What the kernels of every instruction set compute, and the table that holds one set's. All arithmetic is float32,
// but for Prepared and ManyRows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace exo {

enum class Float { f32, f16, bf16 };

/** How packed weights become numbers: scale * q + bias, or scale times small floats (their scales are bytes). */
enum class Mode { affine, mxfp4, mxfp8, nvfp4 };

/**
 * A weight [rows, columns]: dense (bits 0: `data` of `type`), affine (`data` packed, scales and biases of `type`), or of small
 * floats (`data` packed, scales bytes; no biases).
 */
struct Matrix {
  const void* data;
  const void* scales;
  const void* biases;
  size_t rows, columns;
  int bits, group;
  Float type;
  Mode mode = Mode::affine;
  /** Biases are -2^(bits - 1) times the scales: who can spare reading them does. */
  bool centred = false;

  /** Packed so that x is wanted in the order that Kernels::lanes describes. */
  bool arranged() const {
    return mode == Mode::affine && bits == 4;
  }
};

/** How a cache holds its rows: as floats of a type, or packed in bytes (see Kernels::pack). */
enum class Held { f32, f16, bf16, q8 };

/** Values that share a scale in a packed row. */
constexpr size_t kPackedGroup = 32;

/** Bytes of a packed row of `dims` values: a byte each, then two for each group's scale. */
constexpr size_t packedBytes(size_t dims) {
  return dims + 2 * ((dims + kPackedGroup - 1) / kPackedGroup);
}

/** One key-value head of an attention: rows of keys and of values, `stride` bytes apart, each row's elements adjoining. */
struct KeyValueHead {
  const void* keys;
  const void* values;
  Held keysHeld, valuesHeld;
  ptrdiff_t keyStride, valueStride;
  size_t keyDims, valueDims;
};

/** What one query may see: keys [0, limit), and of these the ones that `mask` (where there is one) holds true for. */
struct Sight {
  size_t limit;
  const bool* mask;
  ptrdiff_t step;
};

/** Query rows [rows, keyDims], multiplied by the scale, with what each may see. */
struct Queries {
  const float* values;
  const Sight* sights;
  size_t rows;
};

/** The softmax of a row so far: its largest score, the sum of exp(score - best), and values mixed by these [rows, valueDims]. */
struct Mixture {
  float* best;
  float* total;
  float* mixed;
};

/** Up to so many rows of x (requests that decode together) a product reads weights as it goes; unpacking more at once is cheaper. */
constexpr size_t kFewRows = 8;

/**
 * A way to multiply a weight with more than kFewRows rows of x. These are packed first, in panels of up to `together` rows: the
 * panel of row m, where m is a multiple of that, begins at m times the floats of a row. Each row's results are the same
 * whatever the other rows are and how many. See exo_quantized_linear for what integers round.
 */
struct ManyRows {
  /** Weight rows that are computed at once, at best. */
  size_t rows;
  size_t together;
  /** Floats that a packed row of x takes; none: this way does not know such weights. */
  size_t (*floatsOfRow)(const Matrix& weight);
  /** Packs a panel: `count` rows of x. False when this way cannot stand for their values. */
  bool (*pack)(const Matrix& weight, const float* const* x, size_t count, float* to);
  /** out[m * stride + n] = x row m . weight row n, for weight rows [first, last) and `count` rows of packed x. */
  void (*multiply)(const Matrix& weight, const float* x, size_t count, float* out, size_t stride, size_t first, size_t last);
};

/** Products of few rows of x, which come in a form of their own, with the weights for which `bytes` is not 0; null: with none. */
struct Prepared {
  /** Bytes of a row of x beside this weight. */
  size_t (*bytes)(const Matrix& weight) = nullptr;
  /** Puts a row of x [columns] into that form, `to` aligned to 64 bytes. */
  void (*prepare)(const Matrix& weight, const float* x, uint8_t* to) = nullptr;
  /** As Kernels::linear, for up to kFewRows rows of x. */
  void (*linear)(const Matrix& weight, const uint8_t* x, size_t count, float* out, size_t stride, size_t first, size_t last) = nullptr;
};

/** Passes over logits. */
struct Vocabulary {
  /** The largest of `count` values, NaN where one of them is. */
  float (*largest)(const float* x, size_t count);
  /** Sum of exp((x - best) * factor), in double, for values that are at most `best`. */
  double (*exponentials)(const float* x, size_t count, double best, double factor);
};

struct Kernels {
  const char* name;
  /** Floats of a vector. For affine 4-bit weights x comes in runs of 8 * lanes columns (the last one filled up with zeros): of each
      eight columns the first ones, then the second ones, and so on. */
  size_t lanes;
  /** out[m * stride + n] = x row m . weight row n, for weight rows [first, last); x [count, columns], where wanted arranged. */
  void (*linear)(const Matrix& weight, const float* x, size_t count, float* out, size_t stride, size_t first, size_t last);
  Prepared prepared;
  ManyRows floats;
  /** Where the processor has instructions that make it faster, or null. */
  const ManyRows* integers;
  /** A row of a packed weight as floats, columns in their own order. */
  void (*unpack)(const Matrix& weight, size_t row, float* to);
  /** `count` elements of a type, `step` elements apart, as floats. */
  void (*read)(Float type, const void* from, ptrdiff_t step, size_t count, float* to);
  /** `count` floats rounded to a type, ties to even. */
  void (*write)(Float type, const float* from, size_t count, void* to);
  /** x / sqrt(mean(x^2) + eps) * weight. */
  void (*norm)(const float* x, const float* weight, size_t count, float eps, float* out);
  /** gate * sigmoid(gate) * up. */
  void (*siluMul)(const float* gate, const float* up, size_t count, float* out);
  /** The pairs of x (adjoining: 2i and 2i + 1; else i and i + half) turned by angles with these cosines and sines. */
  void (*rotate)(const float* x, const float* cosines, const float* sines, size_t half, bool adjoining, float* out);
  /** Takes keys [first, last) into the mixture of a few query rows, reading each key once. `out` is set, not added to. */
  void (*attendFew)(const KeyValueHead& head, const Queries& queries, size_t first, size_t last, const Mixture& out);
  /** The same for many rows: tiles of keys are transposed, so that products run along them. */
  void (*attendMany)(const KeyValueHead& head, const Queries& queries, size_t first, size_t last, const Mixture& out);
  /** A row in bytes: of each group of values the nearest multiples of its scale, from -127 to 127, plus 128; after all of them the
      scales as bfloat16, 1/127 of the largest value rounded up. A group with what is no finite number is all NaN. */
  void (*pack)(const float* from, size_t count, uint8_t* to);
  Vocabulary vocabulary;
};

/** The best set of this processor, or the lower one that EXO_CPU_KERNELS names. */
const Kernels& kernels();

/** EXO_CPU_KERNELS asks for MLX's own operations. */
bool kernelsUnwanted();

/** Throws SettingError where EXO_CPU_KERNELS names what this library or this processor does not have. */
void checkKernelSetting();

} // namespace exo
