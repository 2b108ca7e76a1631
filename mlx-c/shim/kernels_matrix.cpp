#include "kernels_matrix.hpp"

#include <algorithm>

namespace mx = mlx::core;

namespace exo {
namespace {

constexpr size_t kTileRows = 16;
/** Products of one piece: about five microseconds, which outweighs handing it over. */
constexpr size_t kPieceProducts = 65536;

} // namespace

size_t rowsPerPiece(size_t products) {
  return (kPieceProducts / (products + 1) / kTileRows + 1) * kTileRows;
}

size_t arrangedColumns(size_t columns, int bits) {
  size_t run = 8 * kernels().lanes;
  return bits == 4 ? (columns + run - 1) / run * run : columns;
}

void arrangeRow(const float* x, size_t columns, int bits, float* to) {
  if (bits != 4) {
    std::copy(x, x + columns, to);
    return;
  }
  size_t lanes = kernels().lanes;
  for (size_t run = 0; run < columns; run += 8 * lanes, to += 8 * lanes) {
    size_t words = std::min(lanes, (columns - run) / 8);
    for (size_t k = 0; k < 8; ++k) {
      for (size_t i = 0; i < words; ++i) to[k * lanes + i] = x[run + 8 * i + k];
      std::fill(to + k * lanes + words, to + (k + 1) * lanes, 0.0f);
    }
  }
}

const char* ordered(const View& matrix, std::vector<char>& space) {
  if (matrix.adjoining) return matrix.data;
  size_t bytes = mx::size_of(matrix.dtype), columns = matrix.columns();
  space.resize(matrix.size() * bytes);
  char* to = space.data();
  for (size_t row = 0; row < matrix.rows(); ++row) {
    const char* from = matrix.row(row);
    for (size_t i = 0; i < columns; ++i, to += bytes, from += matrix.strides.back() * static_cast<int64_t>(bytes))
      std::copy(from, from + bytes, to);
  }
  return space.data();
}

bool fitsPacked(const mx::array& w, const mx::array& scales, const mx::array& biases, int group, int bits) {
  bool known = (bits == 4 || bits == 8) && (group == 32 || group == 64 || group == 128) && w.dtype() == mx::uint32;
  if (!known || !isFloat(scales) || scales.dtype() != biases.dtype() || scales.shape() != biases.shape()) return false;
  if (w.ndim() < 2 || scales.ndim() != w.ndim() || scales.shape(-1) * group != w.shape(-1) * 32 / bits) return false;
  return std::equal(w.shape().begin(), w.shape().end() - 1, scales.shape().begin());
}

} // namespace exo
