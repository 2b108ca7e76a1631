// What products with one weight and with many experts' weights have in common.
#pragma once

#include <optional>
#include <vector>

#include "kernels_node.hpp"
#include "mlx/c/array.h"

namespace exo {

/** Weight rows that one thread takes at a time, where each takes `products`: a multiple of every tile. */
size_t rowsPerPiece(size_t products);

/** How a weight is packed; bits 0: it is not. */
struct Packing {
  int bits, group;
  Mode mode = Mode::affine;

  bool operator==(const Packing&) const = default;

  /** See Matrix::arranged. */
  bool arranged() const {
    return mode == Mode::affine && bits == 4;
  }
};

/** Columns of a row of x as the kernels take it in beside a weight that is packed so. */
size_t arrangedColumns(size_t columns, const Packing& packing);

/** Puts a row of x into that order: see Kernels::lanes. */
void arrangeRow(const float* x, size_t columns, const Packing& packing, float* to);

/** The elements in row-major order: where they lie, or copied into `space`. Weights are hardly ever laid out otherwise. */
const char* ordered(const View& matrix, std::vector<char>& space);

/** A packed weight as it comes in; biases there are for affine ones only. */
struct PackedWeight {
  const mlx::core::array &weight, &scales;
  std::optional<mlx::core::array> biases;
  int group, bits;
  const char* mode;

  /** How it is packed, where the kernels know that and all parts are [.., rows, columns] alike. */
  std::optional<Packing> packing() const;
  /** Columns of the unpacked weight. */
  size_t columns() const {
    return static_cast<size_t>(weight.shape(-1)) * 32 / bits;
  }
  /** x, what stands between, and the parts that there are. */
  std::vector<mlx::core::array> inputs(std::vector<mlx::core::array> before) const;
};

/** The parts as C hands them over: `biases` may be null. */
PackedWeight packedWeight(mlx_array weight, mlx_array scales, mlx_array biases, int group, int bits, const char* mode);

} // namespace exo
