// What the kernels of every instruction set compute, and the table that holds one set's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace exo {

enum class Float { f32, f16, bf16 };

/** A weight [rows, columns]: dense (bits 0: `data` of `type`), or affine (`data` packed, scales and biases of `type`). */
struct Matrix {
  const void* data;
  const void* scales;
  const void* biases;
  size_t rows, columns;
  int bits, group;
  Float type;
};

/** Columns come in the order the unpacked weight has them: for 4 bits even then odd within each run of this many. */
struct Kernels {
  const char* name;
  /** Lanes of a vector, which is half the run of a 4-bit reordering. */
  size_t lanes;
  /** out[m * stride + n] = x row m . weight row n, for weight rows [first, last); x [count, columns] reordered. */
  void (*linear)(const Matrix& weight, const float* x, size_t count, float* out, size_t stride, size_t first, size_t last);
};

/** The best set of this processor, or the lower one that EXO_CPU_KERNELS names. */
const Kernels& kernels();

} // namespace exo
