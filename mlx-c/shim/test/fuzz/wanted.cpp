#include "wanted.hpp"

#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "exo.h"
#include "kernels.h"

namespace {

Tally compared;

std::string text(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.9g", value);
  return buffer;
}

/** Whether a result's value is one that `wanted` allows. Rounding keeps order, so the bound's ends are rounded like the result. */
bool allowed(double found, const Wanted& wanted, mlx_dtype type) {
  if (wanted.error == kInfinity) return true;
  if (!std::isfinite(wanted.value) && wanted.loose) return !std::isfinite(found);
  if (std::isnan(wanted.value)) return std::isnan(found);
  if (std::isinf(wanted.value)) return found == wanted.value;
  double low = roundedTo(type, wanted.value - wanted.error), high = roundedTo(type, wanted.value + wanted.error);
  return found >= low && found <= high;
}

std::string lastError() {
  const char* error = exo_last_error();
  return error ? error : "no error was given";
}

void expectShape(mlx_array found, const Shape& shape, mlx_dtype type) {
  Shape made(mlx_array_shape(found), mlx_array_shape(found) + mlx_array_ndim(found));
  if (made != shape) throw std::runtime_error("the result's shape is " + textOf(made) + ", not " + textOf(shape));
  if (mlx_array_dtype(found) != type) throw std::runtime_error(std::string("the result is ") + nameOf(mlx_array_dtype(found)));
}

} // namespace

const Tally& tally() {
  return compared;
}

const Bounds& bounds() {
  static const Bounds chosen = [] {
    Bounds made;
    // Half of one part in 32,639 (kernels_rounded.inc), and float32's own rounding of that quotient.
    for (const char* rounding : {"avx512", "avxvnni", "avx2", "neon"})
      if (std::strcmp(exo_kernel_path(), rounding) == 0) made.rounding = 1.55e-5, made.roundedAway = 0x1p-100, made.lostScale = 0x1p-119;
    if (std::strcmp(exo_kernel_path(), "avx512") == 0) made.attended = made.rounding;
    return made;
  }();
  return chosen;
}

Wanted wantedOf(const Sum& sum, double steps, double floor) {
  bool overflows = sum.size > kSafe;
  if (!std::isfinite(sum.total)) return {sum.total, 0, overflows};
  if (overflows) return {sum.total, kInfinity};
  if (sum.whole && sum.size < 0x1p24) return {sum.total};
  return {sum.total, (static_cast<double>(sum.terms) + steps) * kUnit * sum.size + (static_cast<double>(sum.terms) + floor + 1) * kLeast};
}

std::vector<double> elementsOf(mlx_array of, const Shape& shape, mlx_dtype type) {
  size_t size = sizeOf(shape), bytes = static_cast<size_t>(bytesOf(type));
  std::vector<uint8_t> made(size * bytes + 1);
  if (exo_read(of, made.data(), size * bytes) != 0) throw std::runtime_error("not evaluated: " + lastError());
  std::vector<double> values(size);
  for (size_t i = 0; i < size; ++i) values[i] = decode(type, made.data() + i * bytes);
  return values;
}

std::vector<double> evaluated(Case& of, mlx_array found, const Shape& shape, mlx_dtype type) {
  if (!found.ctx) throw std::runtime_error("refused: " + lastError());
  of.keep(found);
  expectShape(found, shape, type);
  return elementsOf(found, shape, type);
}

void expectValues(const std::vector<double>& found, mlx_dtype type, const std::vector<Wanted>& wanted) {
  for (size_t i = 0; i < found.size(); ++i) {
    ++compared.values;
    compared.open += wanted[i].error == kInfinity;
    if (allowed(found[i], wanted[i], type)) continue;
    throw std::runtime_error(
        "element " + std::to_string(i) + " of " + std::to_string(found.size()) + " is " + text(found[i]) + ", not " + text(wanted[i].value) +
        " +- " + text(wanted[i].error) + (wanted[i].loose ? " (or any that is not finite)" : ""));
  }
}

void expectResult(Case& of, mlx_array found, const Shape& shape, mlx_dtype type, const std::vector<Wanted>& wanted) {
  expectValues(evaluated(of, found, shape, type), type, wanted);
}
