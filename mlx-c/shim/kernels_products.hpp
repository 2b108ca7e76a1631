// Rows of x times one weight, or several at once: the rows are prepared once, and the threads share the rows of all weights.
#pragma once

#include <optional>
#include <vector>

#include "kernels_matrix.hpp"

namespace exo {

/** x [M, K] times the transpose of weight [N, K], plus bias [N] where there is one: out [M, N]. */
struct Product {
  Matrix weight;
  const float* bias;
  float* out;
};

/** Rows of x in the form that products with weights like one of them want. */
class RowsOf {
 public:
  RowsOf(const Matrix& like, const View& x);

  /** Weight rows of one piece of work, where `weights` of them are computed together. */
  size_t grain(size_t weights = 1) const;
  /** Weight rows [first, last) of a product. */
  void multiply(const Product& of, size_t first, size_t last) const;

 private:
  size_t rows_, columns_;
  std::optional<PackedRows> many_;
  std::optional<Factors> few_;
};

/** Every product of x. */
void multiply(const View& x, const std::vector<Product>& products);

/** silu(x gate) * (x up), in gate's `out`; up's is written as well. Both weights have as many rows. */
void multiplyGated(const View& x, const Product& gate, const Product& up);

} // namespace exo
