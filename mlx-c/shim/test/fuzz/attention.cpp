// Attention against softmax(scale * q k^T) v in double precision, with the scores held as a whole.
#include <algorithm>
#include <optional>

#include "kernels.h"
#include "wanted.hpp"

namespace {

struct Sizes {
  int batch, heads, group, length, keys, dims, valueDims;
};

int dimsOf(Random& random) {
  if (random.chance(0.4)) return 16 * random.between(1, 8);
  return random.chance(0.8) ? random.between(1, 40) : random.between(1, 140);
}

Sizes sizesOf(Random& random) {
  Sizes sizes{random.between(1, 2), random.between(1, 3), random.between(1, 4), 1, 1, dimsOf(random), 0};
  sizes.valueDims = random.chance(0.7) ? sizes.dims : dimsOf(random);
  if (random.chance(0.6)) sizes.length = random.chance(0.05) ? 0 : random.between(1, random.chance(0.1) ? 120 : 20);
  sizes.keys = random.chance(0.03) ? 0 : random.chance(0.7) ? random.between(1, 70) : random.between(1, 300);
  if (random.chance(0.03)) sizes.keys = random.between(250, 800);
  return sizes;
}

/** One query's keys: their scores, how far off each may be, and which are seen. */
struct Row {
  std::vector<double> scores, errors;
  std::vector<bool> seen;
};

Row scoresOf(const double* q, const double* k, const Sizes& sizes, double scale) {
  Row row;
  for (int j = 0; j < sizes.keys; ++j, k += sizes.dims) {
    Sum sum;
    for (int d = 0; d < sizes.dims; ++d) sum.add(scale * q[d] * k[d]);
    for (int d = 0; d < sizes.dims; ++d)
      if (std::fabs(q[d] * scale) > kSafe) sum.size = kInfinity;
    Wanted score = wantedOf(sum, bounds().attention, sizes.dims * 2e0);
    row.scores.push_back(score.value);
    row.errors.push_back(score.loose ? kInfinity : score.error);
  }
  return row;
}

/** Weights of the keys (summing to one) with the error of each relative to it. */
struct Weights {
  std::vector<double> values, errors;
  /** Every result is NaN, or nothing can be said. */
  bool none = false, unknown = false;
};

Weights weightsOf(const Row& row) {
  constexpr double kHidden = -3.402823466e38, kFar = 85;
  Weights weights;
  bool seesAny = false, hidesAny = false;
  double top = -kInfinity;
  for (size_t j = 0; j < row.scores.size(); ++j) {
    (row.seen[j] ? seesAny : hidesAny) = true;
    double score = row.seen[j] ? row.scores[j] : kHidden;
    if (row.seen[j] && (std::isnan(score) || score == kInfinity)) weights.none = true;
    if (row.seen[j] && row.errors[j] == kInfinity) weights.unknown = true;
    top = std::max(top, score);
    weights.values.push_back(score);
  }
  if (seesAny && hidesAny && top < -kSafe) weights.unknown = true;
  if (top == -kInfinity && !row.scores.empty()) weights.none = true;
  double total = 0, mean = 0;
  for (size_t j = 0; j < row.scores.size(); ++j) {
    double distance = top - weights.values[j];
    weights.values[j] = std::exp(-distance);
    double error = row.seen[j] && seesAny ? row.errors[j] + 8 * kUnit + (distance < 200 ? distance * 2 * kUnit : 0) : 0;
    // Far below the others a weight is within the floor of zero, however wrong its score.
    if (distance - error > kFar) error = 0;
    else if (error > 0.5) weights.unknown = true;
    weights.errors.push_back(error);
    total += weights.values[j];
    mean += weights.values[j] * error;
  }
  for (size_t j = 0; j < row.scores.size(); ++j) {
    weights.values[j] /= total;
    // exp(x) - 1 of an error that is not small.
    weights.errors[j] = std::expm1(weights.errors[j] + mean / total);
  }
  return weights;
}

Wanted mixed(const Weights& weights, const Row& row, const double* v, int stride) {
  double total = 0, error = 0, size = 0, all = 0;
  bool infinite = false, none = weights.none, unknown = weights.unknown;
  size_t keys = row.scores.size();
  for (size_t j = 0; j < keys; ++j, v += stride) {
    // MLX, too, multiplies what is hidden by zero.
    if (!row.seen[j] && !std::isfinite(*v)) unknown = true;
    else if (std::isnan(*v)) none = true;
    infinite = infinite || std::isinf(*v);
    all += std::fabs(*v);
    if (!std::isfinite(*v)) continue;
    double part = weights.values[j] * *v;
    total += part;
    size += std::fabs(part);
    error += std::fabs(part) * weights.errors[j];
  }
  if (none && !(unknown && !weights.none)) return {std::nan("")};
  if (unknown || (!infinite && all > kSafe)) return {total, kInfinity};
  if (infinite) return {kInfinity, 0, true};
  if (keys == 0) return {0};
  error += (static_cast<double>(keys) + bounds().attention) * kUnit * size + all * bounds().exponentFloor + kLeast;
  return {total, error};
}

/** A boolean mask that broadcasts to [B, Hq, L, S]; hidden keys are few, or nearly all. */
std::optional<Operand> maskOf(Case& of, const Sizes& sizes) {
  Random& random = of.random;
  Shape shape{sizes.batch, sizes.heads * sizes.group, sizes.length, sizes.keys};
  for (int& length : shape)
    if (random.chance(0.25)) length = 1;
  shape.erase(shape.begin(), shape.begin() + (random.chance(0.5) ? 0 : random.below(5)));
  double share = random.pick({0.5, 0.9, 0.05});
  std::vector<double> seen(sizeOf(shape));
  for (double& one : seen) one = random.chance(share);
  return of.of("mask", shape, MLX_BOOL, std::move(seen));
}

bool sees(const Operand& mask, const int (&index)[4]) {
  size_t at = 0;
  for (size_t axis = 0, missing = 4 - mask.shape.size(); axis < mask.shape.size(); ++axis) {
    size_t length = static_cast<size_t>(mask.shape[axis]);
    at = at * length + (length == 1 ? 0 : static_cast<size_t>(index[axis + missing]));
  }
  return mask.at(at) != 0;
}

} // namespace

void fuzzAttention(Case& of) {
  Random& random = of.random;
  Sizes sizes = sizesOf(random);
  mlx_dtype type = of.floatType();
  int heads = sizes.heads * sizes.group;
  Operand q = of.floats("q", {sizes.batch, heads, sizes.length, sizes.dims}, type);
  Operand k = of.floats("k", {sizes.batch, sizes.heads, sizes.keys, sizes.dims}, type);
  Operand v = of.floats("v", {sizes.batch, sizes.heads, sizes.keys, sizes.valueDims}, type);
  bool causal = random.chance(0.4);
  std::optional<Operand> mask = !causal && random.chance(0.4) ? maskOf(of, sizes) : std::nullopt;
  float scale = random.chance(0.8) ? 1 / std::sqrt(static_cast<float>(sizes.dims)) : random.pick({1.0f, 0.1f, 4.0f});
  of.say(std::string(causal ? "causal" : "") + " scale " + std::to_string(scale));
  mlx_array found = mlx_array_new();
  exo_attention(&found, q.array, k.array, v.array, scale, causal, mask ? mask->array : mlx_array{nullptr}, of.stream);
  std::vector<Wanted> wanted;
  for (int b = 0; b < sizes.batch; ++b) {
    for (int h = 0; h < heads; ++h) {
      size_t head = static_cast<size_t>((b * sizes.heads + h / sizes.group) * sizes.keys);
      const double *keys = k.values.data() + head * static_cast<size_t>(sizes.dims), *values = v.values.data() + head * static_cast<size_t>(sizes.valueDims);
      for (int l = 0; l < sizes.length; ++l) {
        Row row = scoresOf(q.values.data() + static_cast<size_t>(((b * heads + h) * sizes.length + l) * sizes.dims), keys, sizes, scale);
        for (int j = 0; j < sizes.keys; ++j)
          row.seen.push_back(mask ? sees(*mask, {b, h, l, j}) : !causal || j <= sizes.keys - sizes.length + l);
        Weights weights = weightsOf(row);
        for (int d = 0; d < sizes.valueDims; ++d) wanted.push_back(mixed(weights, row, values + d, sizes.valueDims));
      }
    }
  }
  expectResult(of, found, {sizes.batch, heads, sizes.length, sizes.valueDims}, type, wanted);
}
