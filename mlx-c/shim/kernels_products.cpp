#include "kernels_products.hpp"

#include <algorithm>
#include <memory>

#include "pool.hpp"

namespace exo {
namespace {

/** Whether rows prepared for one of them are prepared for the other. */
bool alike(const Matrix& a, const Matrix& b) {
  return a.bits == b.bits && a.group == b.group && a.mode == b.mode && a.type == b.type && a.columns == b.columns;
}

/** The rows as each of several weights wants them, each form made once. */
class Forms {
 public:
  explicit Forms(const View& x) : x_(x) {}

  const RowsOf& of(const Matrix& weight) {
    for (const Form& form : made_)
      if (alike(form.like, weight)) return *form.rows;
    made_.push_back({weight, std::make_unique<RowsOf>(weight, x_)});
    return *made_.back().rows;
  }

 private:
  struct Form {
    Matrix like;
    std::unique_ptr<RowsOf> rows;
  };
  const View& x_;
  std::vector<Form> made_;
};

/** A product's blocks of weight rows, numbered after those of the products before it. */
struct Share {
  const Product& product;
  const RowsOf& rows;
  size_t grain, begin, end;

  void compute(size_t first, size_t last) const {
    first = std::max(first, begin);
    last = std::min(last, end);
    if (first < last) rows.multiply(product, (first - begin) * grain, std::min((last - begin) * grain, product.weight.rows));
  }
};

} // namespace

RowsOf::RowsOf(const Matrix& like, const View& x) : rows_(x.rows()), columns_(like.columns) {
  if (rows_ > kFewRows) {
    many_.emplace(like, std::vector<Part>{{0, rows_}}, [&](size_t m, std::vector<float>& space) { return x.floats(m, space); });
    return;
  }
  few_.emplace(like, rows_);
  if (few_->lie(x)) return;
  few_->make();
  parallel(rows_, grainOf(columns_), [&](size_t first, size_t last) {
    std::vector<float> row;
    for (size_t m = first; m < last; ++m) few_->set(m, x.floats(m, row));
  });
}

size_t RowsOf::grain(size_t weights) const {
  return many_ ? rowsPerPiece(weights * columns_ * rows_, many_->tile()) : rowsPerPiece(weights * columns_ * rows_);
}

void RowsOf::multiply(const Product& of, size_t first, size_t last) const {
  size_t stride = of.weight.rows;
  if (many_) many_->multiply(of.weight, {0, rows_}, of.out, stride, first, last);
  else few_->multiply(of.weight, 0, rows_, of.out, stride, first, last);
  if (!of.bias) return;
  for (size_t m = 0; m < rows_; ++m)
    for (size_t n = first; n < last; ++n) of.out[m * stride + n] += of.bias[n];
}

void multiply(const View& x, const std::vector<Product>& products) {
  Forms forms(x);
  std::vector<Share> shares;
  shares.reserve(products.size());
  size_t blocks = 0;
  for (const Product& product : products) {
    const RowsOf& rows = forms.of(product.weight);
    size_t grain = rows.grain(), count = (product.weight.rows + grain - 1) / grain;
    shares.push_back({product, rows, grain, blocks, blocks + count});
    blocks += count;
  }
  parallel(blocks, 1, [&](size_t first, size_t last) {
    for (const Share& share : shares) share.compute(first, last);
  });
}

void multiplyGated(const View& x, const Product& gate, const Product& up) {
  Forms forms(x);
  const RowsOf &gates = forms.of(gate.weight), &ups = forms.of(up.weight);
  size_t width = gate.weight.rows;
  parallel(width, std::max(gates.grain(2), ups.grain(2)), [&](size_t first, size_t last) {
    gates.multiply(gate, first, last);
    ups.multiply(up, first, last);
    for (size_t m = 0; m < x.rows(); ++m) {
      float* to = gate.out + m * width + first;
      kernels().siluMul(to, up.out + m * width + first, last - first, to);
    }
  });
}

} // namespace exo
