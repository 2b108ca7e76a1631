#include "kernels_matrix.hpp"

#include <algorithm>
#include <string_view>

#include "mlx/c/private/mlx.h"

namespace mx = mlx::core;

namespace exo {
namespace {

constexpr size_t kTileRows = 16;
/** Products of one piece: about five microseconds, which outweighs handing it over. */
constexpr size_t kPieceProducts = 65536;

/** The packings that the kernels compute; the sizes of groups are what MLX makes. */
std::optional<Packing> knownPacking(std::string_view mode, int bits, int group) {
  if (mode == "affine") {
    bool known = (bits >= 2 && bits <= 6) || bits == 8;
    if (known && (group == 32 || group == 64 || group == 128)) return Packing{bits, group, Mode::affine};
  }
  if (mode == "mxfp4" && bits == 4 && group == 32) return Packing{bits, group, Mode::mxfp4};
  if (mode == "mxfp8" && bits == 8 && group == 32) return Packing{bits, group, Mode::mxfp8};
  if (mode == "nvfp4" && bits == 4 && group == 16) return Packing{bits, group, Mode::nvfp4};
  return std::nullopt;
}

} // namespace

size_t rowsPerPiece(size_t products) {
  return (kPieceProducts / (products + 1) / kTileRows + 1) * kTileRows;
}

size_t arrangedColumns(size_t columns, const Packing& packing) {
  size_t run = 8 * kernels().lanes;
  return packing.arranged() ? (columns + run - 1) / run * run : columns;
}

void arrangeRow(const float* x, size_t columns, const Packing& packing, float* to) {
  if (!packing.arranged()) {
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

std::optional<Packing> PackedWeight::packing() const {
  std::optional<Packing> found = knownPacking(mode, bits, group);
  const mx::array &w = weight, &s = scales;
  if (!found || w.dtype() != mx::uint32 || w.ndim() < 2 || s.ndim() != w.ndim()) return std::nullopt;
  bool affine = found->mode == Mode::affine;
  if (affine != biases.has_value() || !(affine ? isFloat(s) : s.dtype() == mx::uint8)) return std::nullopt;
  if (affine && (s.dtype() != biases->dtype() || s.shape() != biases->shape())) return std::nullopt;
  // MLX's own says what is wrong with columns that are no whole number of groups.
  if (static_cast<int64_t>(s.shape(-1)) * group * bits != static_cast<int64_t>(w.shape(-1)) * 32) return std::nullopt;
  return std::equal(w.shape().begin(), w.shape().end() - 1, s.shape().begin()) ? found : std::nullopt;
}

PackedWeight packedWeight(mlx_array weight, mlx_array scales, mlx_array biases, int group, int bits, const char* mode) {
  std::optional<mx::array> there;
  if (biases.ctx) there = mlx_array_get_(biases);
  return {mlx_array_get_(weight), mlx_array_get_(scales), std::move(there), group, bits, mode};
}

std::vector<mx::array> PackedWeight::inputs(std::vector<mx::array> before) const {
  before.push_back(weight);
  before.push_back(scales);
  if (biases) before.push_back(*biases);
  return before;
}

} // namespace exo
