#include "softmax.hpp"

#include <algorithm>

namespace {

/** What a score is off by where the query is rounded to integers group by group: each value by `attended` of its group's largest. */
double roundedQuery(const Numbers& q, size_t qFrom, const Numbers& k, size_t kFrom, size_t dims, double scale) {
  double error = 0;
  for (size_t first = 0; first < dims; first += kScaleGroup) {
    double most = 0, keys = 0;
    for (size_t d = first; d < first + kScaleGroup; ++d) {
      most = std::max(most, scale * q.sizes[qFrom + d]);
      keys += k.sizes[kFrom + d];
    }
    error += (bounds().attended * most + std::min(most, bounds().roundedAway)) * keys;
  }
  return error;
}

/** What a mixture is off by where weights times scales are rounded for every few keys: each by `attended` of the largest among these. */
double roundedWeights(const Weights& weights, const Numbers& v, size_t from, size_t stride) {
  double error = 0;
  size_t keys = weights.values.size();
  for (size_t first = 0; first < keys; first += kKeyTile) {
    double most = 0, multiples = 0;
    for (size_t j = first; j < std::min(first + kKeyTile, keys); ++j) {
      double scale = v.scales[from + j * stride];
      most = std::max(most, weights.values[j] * (1 + weights.errors[j]) * scale);
      multiples += scale > 0 ? v.sizes[from + j * stride] / scale : 0;
    }
    error += (bounds().attended * most + std::min(most, bounds().roundedAway)) * multiples;
  }
  return error;
}

} // namespace

void addScore(Scores& to, const Numbers& q, size_t qFrom, const Numbers& k, size_t kFrom, size_t dims, double scale, bool seen) {
  Sum sum;
  sum.whole = false;
  bool overflows = false;
  // The query is multiplied by the scale first: what is lost of that meets the key.
  double lost = 0;
  for (size_t d = 0; d < dims; ++d) {
    lost += k.sizes[kFrom + d] * kLost;
    sum.total += scale * q.values[qFrom + d] * k.values[kFrom + d];
    sum.size += std::fabs(scale) * q.sizes[qFrom + d] * k.sizes[kFrom + d];
    overflows = overflows || q.sizes[qFrom + d] * std::fabs(scale) > kSafe;
    ++sum.terms;
  }
  if (!k.scales.empty()) lost += roundedQuery(q, qFrom, k, kFrom, dims, std::fabs(scale));
  if (overflows) sum.size = kInfinity;
  Wanted score = wantedOf(sum, bounds().attention, 2 * static_cast<double>(dims));
  to.values.push_back(score.value);
  to.errors.push_back(score.loose ? kInfinity : score.error + lost);
  to.seen.push_back(seen);
}

Weights weightsOf(const Scores& row) {
  constexpr double kHidden = -3.402823466e38, kFar = 85;
  Weights weights;
  bool seesAny = false, hidesAny = false;
  double top = -kInfinity;
  for (size_t j = 0; j < row.values.size(); ++j) {
    (row.seen[j] ? seesAny : hidesAny) = true;
    double score = row.seen[j] ? row.values[j] : kHidden;
    if (row.seen[j] && (std::isnan(score) || score == kInfinity)) weights.none = true;
    if (row.seen[j] && row.errors[j] == kInfinity) weights.unknown = true;
    top = std::max(top, score);
    weights.values.push_back(score);
  }
  if (seesAny && hidesAny && top < -kSafe) weights.unknown = true;
  if (top == -kInfinity && !row.values.empty()) weights.none = true;
  double total = 0, mean = 0;
  for (size_t j = 0; j < row.values.size(); ++j) {
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
  for (size_t j = 0; j < row.values.size(); ++j) {
    weights.values[j] /= total;
    // exp(x) - 1 of an error that is not small.
    weights.errors[j] = std::expm1(weights.errors[j] + mean / total);
  }
  return weights;
}

Wanted mixed(const Weights& weights, const Scores& row, const Numbers& values, size_t from, size_t stride, bool packed) {
  const double* v = values.values.data() + from;
  double total = 0, error = 0, size = 0, all = 0;
  bool infinite = false, none = weights.none, unknown = weights.unknown;
  size_t keys = row.values.size();
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
  error += (static_cast<double>(keys) + bounds().attention) * kUnit * size + all * bounds().exponentFloor;
  // Every product, and as often at most the correction of what was mixed before; then the quotient by a total of 1 or more.
  error += (2 * static_cast<double>(keys) + 2) * kLost;
  if (packed) error += static_cast<double>(keys) * 127 * kLost;
  if (!values.scales.empty()) error += roundedWeights(weights, values, from, stride);
  return {total, error};
}
