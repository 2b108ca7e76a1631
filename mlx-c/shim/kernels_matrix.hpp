// What products with one weight and with many experts' weights have in common.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "kernels_node.hpp"
#include "mlx/c/array.h"

namespace exo {

/** Weight rows that one thread takes at a time, where each takes `products`: a multiple of `tile`. */
size_t rowsPerPiece(size_t products, size_t tile = 16);

/** How a weight is packed; bits 0: it is not. */
struct Packing {
  int bits, group;
  Mode mode = Mode::affine;

  bool operator==(const Packing&) const = default;
};

/** Up to kFewRows rows of x for each weight: as they lie, as floats in another order, or as integers. */
class Factors {
 public:
  /** Room for `rows` rows, for weights that are alike but for where they lie. */
  Factors(const Matrix& weight, size_t rows);

  /** Takes x's rows as they lie, where the kernels do. */
  bool lie(const View& x);
  /** Room for the rows; then each is set. */
  void make();
  void set(size_t row, const float* x) const;
  /** Kernels::linear of `count` rows from row `m` on. */
  void multiply(const Matrix& weight, size_t m, size_t count, float* out, size_t stride, size_t first, size_t last) const;

 private:
  Matrix like_;
  size_t rows_;
  bool prepared_;
  /** Bytes from row to row. */
  size_t stride_;
  std::unique_ptr<char[]> space_;
  /** At a cache line's beginning, unless they lie elsewhere: vectors that cross one cost two loads. */
  char* at_ = nullptr;
};

/** Rows of x that are multiplied with one weight. */
struct Part {
  size_t begin, end;
};

/** Room for `size` floats, of any content. */
struct Scratch {
  std::unique_ptr<float[]> floats;
  size_t size = 0;
};

/** Rows of x packed for products of many rows with weights like `weight`. */
class PackedRows {
 public:
  /** Row `row` of x, as View::floats gives it. */
  using Row = std::function<const float*(size_t row, std::vector<float>& space)>;

  /** Packs the rows of `parts`, which are in order. */
  PackedRows(const Matrix& weight, const std::vector<Part>& parts, const Row& x);
  ~PackedRows();
  PackedRows(const PackedRows&) = delete;

  /** Weight rows that a piece of work should be a multiple of. */
  size_t tile() const {
    return way_->rows;
  }

  /** As ManyRows::multiply, with the rows of one of the parts. */
  void multiply(const Matrix& weight, Part part, float* out, size_t stride, size_t first, size_t last) const;

 private:
  bool pack(const Matrix& weight, const std::vector<Part>& parts, const Row& x);

  const ManyRows* way_;
  Scratch space_;
};

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
