#include "kernels_matrix.hpp"

#include <algorithm>
#include <atomic>
#include <string_view>
#include <utility>

#include "mlx/c/private/mlx.h"
#include "pool.hpp"

namespace mx = mlx::core;

namespace exo {
namespace {

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

constexpr size_t kLineBytes = 64;

/** Puts a row of x into the order that Kernels::lanes describes. */
void arrange(const float* x, size_t columns, float* to) {
  size_t lanes = kernels().lanes;
  for (size_t run = 0; run < columns; run += 8 * lanes, to += 8 * lanes) {
    size_t words = std::min(lanes, (columns - run) / 8);
    for (size_t k = 0; k < 8; ++k) {
      for (size_t i = 0; i < words; ++i) to[k * lanes + i] = x[run + 8 * i + k];
      std::fill(to + k * lanes + words, to + (k + 1) * lanes, 0.0f);
    }
  }
}

/** 16 MiB: a prompt's chunk of 512 tokens beside a wide feed-forward layer. More is given back. */
constexpr size_t kKeptFloats = 4 << 20;
/** Memory from the system comes in pages that are cleared one by one when first touched, which costs more than packing does. */
thread_local Scratch kept;

} // namespace

size_t rowsPerPiece(size_t products, size_t tile) {
  return (kPieceProducts / (products + 1) / tile + 1) * tile;
}

Factors::Factors(const Matrix& weight, size_t rows) : like_(weight), rows_(rows) {
  const Kernels& of = kernels();
  size_t bytes = weight.bits && of.prepared.bytes ? of.prepared.bytes(weight) : 0;
  prepared_ = bytes != 0;
  size_t run = weight.arranged() ? 8 * of.lanes : 1;
  stride_ = prepared_ ? bytes : (weight.columns + run - 1) / run * run * sizeof(float);
}

bool Factors::lie(const View& x) {
  if (prepared_ || like_.arranged() || !x.adjoining || x.dtype != mx::float32) return false;
  at_ = x.data;
  return true;
}

void Factors::make() {
  space_ = std::make_unique_for_overwrite<char[]>(rows_ * stride_ + kLineBytes);
  size_t past = reinterpret_cast<uintptr_t>(space_.get()) % kLineBytes;
  at_ = space_.get() + (past == 0 ? 0 : kLineBytes - past);
}

void Factors::set(size_t row, const float* x) const {
  char* to = at_ + row * stride_;
  if (prepared_) return kernels().prepared.prepare(like_, x, reinterpret_cast<uint8_t*>(to));
  if (like_.arranged()) return arrange(x, like_.columns, reinterpret_cast<float*>(to));
  std::copy(x, x + like_.columns, reinterpret_cast<float*>(to));
}

void Factors::multiply(const Matrix& w, size_t m, size_t count, float* out, size_t stride, size_t first, size_t last) const {
  const char* x = at_ + m * stride_;
  if (prepared_) return kernels().prepared.linear(w, reinterpret_cast<const uint8_t*>(x), count, out, stride, first, last);
  kernels().linear(w, reinterpret_cast<const float*>(x), count, out, stride, first, last);
}

PackedRows::PackedRows(const Matrix& weight, const std::vector<Part>& parts, const Row& x)
    : way_(kernels().integers), space_(std::exchange(kept, {})) {
  bool known = way_ && way_->floatsOfRow(weight) != 0;
  if (known && pack(weight, parts, x)) return;
  way_ = &kernels().floats;
  pack(weight, parts, x);
}

PackedRows::~PackedRows() {
  if (space_.size <= kKeptFloats) kept = std::move(space_);
}

bool PackedRows::pack(const Matrix& weight, const std::vector<Part>& parts, const Row& x) {
  if (parts.empty()) return true;
  std::vector<Part> panels;
  for (const Part& part : parts)
    for (size_t row = part.begin; row < part.end; row += way_->together)
      panels.push_back({row, std::min(row + way_->together, part.end)});
  size_t floats = way_->floatsOfRow(weight);
  if (size_t size = parts.back().end * floats; space_.size < size) space_ = {std::unique_ptr<float[]>(new float[size]), size};
  std::atomic<bool> fits{true};
  parallel(panels.size(), grainOf(weight.columns * way_->together), [&](size_t first, size_t last) {
    std::vector<std::vector<float>> spaces(way_->together);
    std::vector<const float*> rows(way_->together);
    for (size_t p = first; p < last; ++p) {
      const auto [begin, end] = panels[p];
      for (size_t row = begin; row < end; ++row) rows[row - begin] = x(row, spaces[row - begin]);
      if (!way_->pack(weight, rows.data(), end - begin, space_.floats.get() + begin * floats)) fits = false;
    }
  });
  return fits;
}

void PackedRows::multiply(const Matrix& weight, Part part, float* out, size_t stride, size_t first, size_t last) const {
  const float* x = space_.floats.get() + part.begin * way_->floatsOfRow(weight);
  way_->multiply(weight, x, part.end - part.begin, out, stride, first, last);
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
