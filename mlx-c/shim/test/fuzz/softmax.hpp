// The reference of attention: one query's scores as a whole, their softmax, and what it mixes.
#pragma once

#include "wanted.hpp"

/** One query's keys: their scores, how far off each may be, and which are seen. */
struct Scores {
  std::vector<double> values, errors;
  std::vector<bool> seen;
};

/** Numbers as they should be, and the sums of the sizes of what each is made of. */
struct Numbers {
  std::vector<double> values, sizes;
  /** Of values that are met in integers, what each is a multiple of; else none. */
  std::vector<double> scales;
};

/** Values that share a scale, and keys whose weights are rounded together. */
constexpr size_t kScaleGroup = 32, kKeyTile = 64;

/** Adds the score of a key: scale * q . k over [from, from + dims) of both. */
void addScore(Scores& to, const Numbers& q, size_t qFrom, const Numbers& k, size_t kFrom, size_t dims, double scale, bool seen);

/** Weights of the keys (summing to one) with the error of each relative to it. */
struct Weights {
  std::vector<double> values, errors;
  /** Every result is NaN, or nothing can be said. */
  bool none = false, unknown = false;
};

Weights weightsOf(const Scores& scores);

/** What the weights make of values v[from], v[from + stride], ..; packed ones are multiples, up to 127, of what a weight is multiplied with. */
Wanted mixed(const Weights& weights, const Scores& scores, const Numbers& v, size_t from, size_t stride, bool packed);
