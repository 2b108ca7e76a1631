#include "kernels_layer.hpp"

#include <cstring>
#include <stdexcept>

#include "centred.hpp"
#include "kernels_rows.hpp"
#include "mlx/c/private/mlx.h"

namespace mx = mlx::core;

namespace exo {
namespace {

constexpr const char* kModes[] = {"affine", "mxfp4", "mxfp8", "nvfp4"};

/** Numbers of a weight among the packings: bits, group size, mode (in that order of names), whether it has a bias. */
constexpr int kNumbers = 4;

} // namespace

const mx::array& Given::next() {
  if (!arrays_->ctx) throw std::invalid_argument("an array is missing, or was used after it was freed");
  inputs.push_back(mlx_array_get_(*arrays_++));
  return inputs.back();
}

bool Given::perhaps() {
  if (arrays_->ctx) return next(), true;
  ++arrays_;
  return false;
}

void Given::weight() {
  int bits = packings_[0], group = packings_[1], mode = packings_[2];
  bool biased = packings_[3] != 0;
  packings_ += kNumbers;
  mx::array w = next();
  Form form{{0, 0}, biased};
  if (bits == 0) {
    ours = ours && isFloat(w) && w.ndim() == 2;
  } else {
    bool affine = mode == 0;
    mx::array scales = next();
    std::optional<mx::array> biases;
    if (affine) biases = next();
    std::optional<Packing> packing;
    if (mode >= 0 && mode < 4) packing = PackedWeight{w, scales, biases, group, bits, kModes[mode]}.packing();
    ours = ours && packing && w.ndim() == 2;
    if (packing) form.packing = *packing;
  }
  if (ours) {
    rows = w.shape(0);
    columns = bits == 0 ? w.shape(1) : static_cast<int>(static_cast<int64_t>(w.shape(1)) * 32 / bits);
  }
  if (biased) {
    const mx::array& bias = next();
    ours = ours && bias.dtype() == mx::float32 && bias.ndim() == 1 && bias.shape(0) == rows;
  }
  forms.push_back(form);
}

const char* Reader::ordered(const View& of) {
  if (of.adjoining) return of.data;
  copies_.push_back(std::make_unique<std::vector<char>>());
  return exo::ordered(of, *copies_.back());
}

const float* Reader::floats() {
  return reinterpret_cast<const float*>(ordered(next()));
}

Product Reader::product(const Form& form, float* out) {
  auto [bits, group, mode] = form.packing;
  const View& w = next();
  size_t rows = w.shape[0], columns = bits ? w.columns() * 32 / bits : w.columns();
  Matrix matrix{ordered(w), nullptr, nullptr, rows, columns, bits, group, bits ? Float::f32 : w.type(), mode};
  if (bits) {
    const View& scales = next();
    matrix.type = scales.type();
    matrix.scales = ordered(scales);
  }
  if (bits && mode == Mode::affine) matrix.biases = ordered(next());
  matrix.centred = matrix.biases && areCentred(matrix.biases, matrix.scales);
  return {matrix, form.biased ? floats() : nullptr, out};
}

size_t normed(const std::vector<View>& inputs, bool summed, float eps, const View& sums, float* to) {
  View made(to, sums.shape);
  Timed timed(AddRmsNorm::name, sums.rows(), sums.columns());
  if (summed) {
    AddRmsNorm{eps}({inputs[0], inputs[1], inputs[2]}, sums, made);
    return 3;
  }
  const View& x = inputs[0];
  std::vector<float> space;
  for (size_t i = 0; i < x.rows(); ++i) std::memcpy(sums.row(i), x.floats(i, space), x.columns() * sizeof(float));
  RmsNorm{eps}({sums, inputs[1]}, made);
  return 2;
}

} // namespace exo
