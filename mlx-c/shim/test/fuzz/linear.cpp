// Products with weights: dense and packed, of one weight and of chosen experts'.
#include <algorithm>
#include <optional>

#include "kernels.h"
#include "weights.hpp"

namespace {

/** Columns of x that integer kernels give one scale: beside few rows of x a lane's, which are no more than this, else a group's. */
constexpr size_t kTogether = 16, kFewRows = 8;

/** A length in 0 .. 40 for rows, mostly few: each count up to eight is a kernel of its own. */
int rowCount(Random& random) {
  if (random.chance(0.03)) return 0;
  return random.chance(0.7) ? random.between(1, 9) : random.between(1, 40);
}

/** The shape before the last axis that holds `rows` rows. */
Shape batchOf(Random& random, int rows) {
  if (random.chance(0.05) && rows == 1) return {};
  if (random.chance(0.5)) return {rows};
  for (int divisor : {2, 3, 4, 5})
    if (rows % divisor == 0 && random.chance(0.4)) return random.chance(0.5) ? Shape{divisor, rows / divisor} : Shape{rows / divisor, divisor};
  return random.chance(0.5) ? Shape{1, rows} : Shape{1, rows, 1};
}

Shape with(Shape shape, int last) {
  shape.push_back(last);
  return shape;
}

Wanted denseValue(const double* x, const double* w, size_t columns, std::optional<double> bias) {
  Sum sum;
  for (size_t k = 0; k < columns; ++k) sum.add(x[k] * w[k]);
  if (bias) sum.add(*bias);
  return wantedOf(sum, bounds().linear);
}

/** What rounding x to integers may change of its product with this row of weights. */
double roundingOf(const double* x, const Weight& w, size_t row, size_t beside) {
  if (bounds().rounding == 0 || !w.rounds) return 0;
  size_t together = beside > kFewRows ? w.group : std::min(kTogether, w.group);
  double error = 0;
  for (size_t from = 0; from < w.columns; from += together) {
    size_t group = (row * w.columns + from) / w.group;
    double largest = 0, size = 0;
    for (size_t k = from; k < from + together; ++k) {
      largest = std::max(largest, std::fabs(x[k]));
      size += std::fabs(w.scales[group] * w.values[row * w.columns + k]) + std::fabs(w.biases[group]);
    }
    error += (largest * bounds().rounding + bounds().roundedAway) * size + bounds().lostScale;
  }
  return error;
}

/**
 * A packed row with a row of x that is one of `beside`: kernels may multiply out scale * q + bias first or keep sums per group, so
 * each part's size counts.
 */
Wanted packedValue(const double* x, const Weight& w, size_t row, size_t beside) {
  Sum sum;
  sum.whole = false;
  double floor = 0, products = 0;
  bool number = true;
  for (size_t k = 0; k < w.columns; ++k) {
    size_t group = (row * w.columns + k) / w.group;
    double q = w.values[row * w.columns + k], scale = w.scales[group], bias = w.biases[group];
    double size = std::fabs(scale) * (std::fabs(q) + 2 * w.raised) + std::fabs(bias);
    sum.total += x[k] * (scale * q + bias);
    sum.size += std::fabs(x[k]) * size;
    sum.terms += 1;
    products += std::fabs(x[k]) * (std::fabs(q) + 1);
    floor += std::fabs(scale) + std::fabs(bias) + std::fabs(x[k]);
    number = number && !std::isnan(x[k]);
    if (size > kSafe) sum.size = kInfinity;
  }
  if (products > kSafe) sum.size = kInfinity;
  Wanted wanted = wantedOf(sum, bounds().packed, floor);
  if (std::isfinite(wanted.value)) wanted.error += roundingOf(x, w, row, beside);
  // Infinity in one part of a group meets the others' zeros and opposite signs in another order.
  wanted.loose = number;
  return wanted;
}

Wanted valueOf(const double* x, const Weight& w, size_t row, size_t beside) {
  return w.group ? packedValue(x, w, row, beside) : denseValue(x, w.values.data() + row * w.columns, w.columns, std::nullopt);
}

/** Ids of experts, some of which do not exist. */
Operand expertIds(Case& of, const Shape& shape, int count) {
  mlx_dtype type = of.random.pick({MLX_UINT32, MLX_INT32, MLX_INT64, MLX_UINT8});
  std::vector<double> ids(sizeOf(shape));
  for (double& id : ids) id = of.random.below(count);
  if (!ids.empty() && of.random.chance(0.1)) {
    double missing = type == MLX_INT32 || type == MLX_INT64 ? of.random.pick({-1, count, count + 7}) : count;
    ids[of.random.below(static_cast<int>(ids.size()))] = missing;
  }
  return of.of("experts", shape, type, std::move(ids));
}

/** The row of x [.., 1, K] that goes to a pair: axes of one serve all. */
size_t rowOf(const Shape& x, const Shape& experts, size_t pair) {
  size_t row = 0, stride = 1, batch = x.size() - 2;
  for (size_t i = 0; i < batch; ++i) {
    size_t axis = experts.size() - 1 - i, length = static_cast<size_t>(experts[axis]), index = pair % length;
    size_t own = static_cast<size_t>(x[batch - 1 - i]);
    pair /= length;
    if (own != 1) row += index * stride;
    stride *= own;
  }
  return row;
}

/** x [.., 1, K] for these experts: its axes are the experts' or one, and there may be fewer. */
Shape expertInput(Random& random, const Shape& experts, int columns) {
  Shape shape;
  size_t first = static_cast<size_t>(random.below(static_cast<int>(experts.size()) + 1));
  for (size_t axis = first; axis < experts.size(); ++axis) {
    bool last = axis + 1 == experts.size();
    shape.push_back(random.chance(last ? 0.6 : 0.2) ? 1 : experts[axis]);
  }
  shape.push_back(1);
  shape.push_back(columns);
  return shape;
}

void fuzzExperts(Case& of, bool packed) {
  Random& random = of.random;
  int count = random.between(1, 6), rows = weightRows(random);
  Made w = packed ? packedWeight(of, count, rows) : denseWeight(of, count, rows, denseColumns(random));
  Shape chosen = random.pick<Shape>({{random.between(1, 8)}, {rowCount(random), random.between(1, 4)}, {random.between(1, 3), random.between(1, 5), random.between(1, 4)}});
  Operand experts = expertIds(of, chosen, count);
  int columns = static_cast<int>(w.plain.columns);
  Operand x = of.floats("x", expertInput(random, chosen, columns), of.floatType());
  bool sorted = false;
  mlx_array found = mlx_array_new();
  if (packed) exo_quantized_expert_linear(&found, x.array, w.weight.array, w.scales->array, w.biasesOrNull(), experts.array, w.group, w.bits, w.mode, sorted, of.stream);
  else exo_expert_linear(&found, x.array, w.weight.array, experts.array, sorted, of.stream);
  std::vector<Wanted> wanted;
  for (size_t pair = 0; pair < experts.values.size(); ++pair) {
    double id = experts.values[pair];
    size_t beside = static_cast<size_t>(std::count(experts.values.begin(), experts.values.end(), id));
    bool exists = id >= 0 && id < count;
    const double* row = x.values.data() + rowOf(x.shape, chosen, pair) * w.plain.columns;
    for (int n = 0; n < rows; ++n) {
      size_t at = static_cast<size_t>(exists ? id : 0) * w.plain.rows + static_cast<size_t>(n);
      wanted.push_back(exists ? valueOf(row, w.plain, at, beside) : Wanted{std::nan("")});
    }
  }
  expectResult(of, found, with(with(chosen, 1), rows), x.type, wanted);
}

} // namespace

void fuzzLinear(Case& of) {
  Random& random = of.random;
  int rows = weightRows(random), columns = denseColumns(random);
  Shape batch = batchOf(random, rowCount(random));
  Made w = denseWeight(of, 0, rows, columns);
  Operand x = of.floats("x", with(batch, columns), of.floatType());
  std::optional<Operand> bias;
  if (random.chance(0.4)) bias = of.floats("bias", {rows}, of.floatType());
  mlx_array found = mlx_array_new();
  exo_linear(&found, x.array, w.weight.array, bias ? bias->array : mlx_array{nullptr}, of.stream);
  std::vector<Wanted> wanted;
  for (size_t m = 0; m < sizeOf(batch); ++m)
    for (size_t n = 0; n < w.plain.rows; ++n)
      wanted.push_back(denseValue(
          x.values.data() + m * w.plain.columns, w.plain.values.data() + n * w.plain.columns, w.plain.columns,
          bias ? std::optional(bias->at(n)) : std::nullopt));
  expectResult(of, found, with(batch, rows), x.type, wanted);
}

void fuzzPackedLinear(Case& of) {
  Random& random = of.random;
  int rows = weightRows(random);
  Shape batch = batchOf(random, rowCount(random));
  Made w = packedWeight(of, 0, rows);
  Operand x = of.floats("x", with(batch, static_cast<int>(w.plain.columns)), of.floatType());
  mlx_array found = mlx_array_new();
  exo_quantized_linear(&found, x.array, w.weight.array, w.scales->array, w.biasesOrNull(), w.group, w.bits, w.mode, of.stream);
  std::vector<Wanted> wanted;
  for (size_t m = 0; m < sizeOf(batch); ++m)
    for (size_t n = 0; n < w.plain.rows; ++n) wanted.push_back(packedValue(x.values.data() + m * w.plain.columns, w.plain, n, sizeOf(batch)));
  expectResult(of, found, with(batch, rows), x.type, wanted);
}

void fuzzExpertLinear(Case& of) {
  fuzzExperts(of, false);
}

void fuzzPackedExpertLinear(Case& of) {
  fuzzExperts(of, true);
}

void fuzzPackedRows(Case& of) {
  Random& random = of.random;
  int rows = std::max(1, weightRows(random));
  Made w = packedWeight(of, 0, rows);
  Shape shape = batchOf(random, rowCount(random));
  mlx_dtype idType = random.pick({MLX_INT32, MLX_UINT32, MLX_INT64}), type = of.floatType();
  std::vector<double> ids(sizeOf(shape));
  for (double& id : ids) id = random.between(idType == MLX_UINT32 ? 0 : -rows - (random.chance(0.02) ? 3 : 0), rows - 1 + (random.chance(0.02) ? 3 : 0));
  Operand chosen = of.of("ids", shape, idType, std::move(ids));
  mlx_array found = mlx_array_new();
  exo_quantized_rows(&found, chosen.array, w.weight.array, w.scales->array, w.biasesOrNull(), w.group, w.bits, w.mode, type, of.stream);
  std::vector<Wanted> wanted;
  for (double id : chosen.values) {
    double row = id < 0 ? id + rows : id;
    bool exists = row >= 0 && row < rows;
    for (size_t k = 0; k < w.plain.columns; ++k) {
      size_t at = static_cast<size_t>(exists ? row : 0) * w.plain.columns + k, group = at / w.plain.group;
      double product = w.plain.scales[group] * w.plain.values[at], bias = w.plain.biases[group], size = std::fabs(product) + std::fabs(bias);
      if (!exists) wanted.push_back({std::nan("")});
      else if (std::isfinite(size)) wanted.push_back({product + bias, size > kSafe ? kInfinity : 2 * kUnit * size + 2 * kLeast});
      // A product past float32's range is infinite unless the addition is fused with it.
      else wanted.push_back({product + bias, 0, std::isnan(product) || std::fabs(product) > kSafe});
    }
  }
  expectResult(of, found, with(shape, static_cast<int>(w.plain.columns)), type, wanted);
}
