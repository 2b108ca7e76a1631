// What products with one weight and with many experts' weights have in common.
#pragma once

#include <vector>

#include "kernels_node.hpp"

namespace exo {

/** Weight rows that one thread takes at a time, where each takes `products`: a multiple of every tile. */
size_t rowsPerPiece(size_t products);

/** Columns of a row of x as the kernels take it in beside a weight of `bits`. */
size_t arrangedColumns(size_t columns, int bits);

/** Puts a row of x into that order: see Kernels::lanes. */
void arrangeRow(const float* x, size_t columns, int bits, float* to);

/** The elements in row-major order: where they lie, or copied into `space`. Weights are hardly ever laid out otherwise. */
const char* ordered(const View& matrix, std::vector<char>& space);

/** Affine 4 or 8 bits in groups that the kernels know, all parts [.., rows, columns] alike. */
bool fitsPacked(const mlx::core::array& w, const mlx::core::array& scales, const mlx::core::array& biases, int group, int bits);

} // namespace exo
