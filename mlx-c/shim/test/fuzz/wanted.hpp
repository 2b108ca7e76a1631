// What a result must be, and how far from it float32 arithmetic may end.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "operand.hpp"

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/** Half a unit in the last place of float32, relative to the value; and the least step between two floats. */
constexpr double kUnit = 0x1p-24, kLeast = 0x1p-149;
/**
 * What a product or quotient loses where it ends below the normal floats, however small it is: fl(x y) = x y (1 + d) + e with
 * |d| <= kUnit and |e| <= kLost, while sums there are exact (Higham, Accuracy and Stability, 2nd ed., 2.8). A bound counts this for
 * every such rounding, times what the rounded value is multiplied by afterwards.
 */
constexpr double kLost = kLeast / 2;
/** Sums of larger terms may pass float32's range on the way. */
constexpr double kSafe = 1.5e38;

/** One value of a result, before it is rounded to the result's type. */
struct Wanted {
  /** NaN demands NaN, infinity demands the same infinity. */
  double value;
  /** How far the result may be from a finite value; kInfinity: anything, NaN too. */
  double error = 0;
  /** Of a value that is not finite only that is demanded. */
  bool loose = false;
};

/** A sum as it should be, and the sum of its terms' sizes, of which its errors are fractions. */
struct Sum {
  double total = 0, size = 0;
  size_t terms = 0;
  /** All terms are whole numbers, so that float32 has no error while they are small. */
  bool whole = true;

  void add(double term) {
    whole = whole && term == std::floor(term);
    total += term;
    size += std::fabs(term);
    ++terms;
  }
};

/**
 * The bounds of each operation, in units: a sum of K terms in any order is within (K + steps) * kUnit * sum|terms| of the exact
 * one, `steps` being the roundings of a term and of what is made of the sum (Higham, Accuracy and Stability, 2nd ed., 4.2).
 */
struct Bounds {
  double linear = 8;
  double packed = 24;
  /**
   * Of packed products that round x to integers first: by how much at most, relative to the largest of the values that share a
   * scale; the largest of them that counts as zero; and what is lost of a group where the product of both scales has no bits left.
   */
  double rounding = 0, roundedAway = 0, lostScale = 0;
  /**
   * Likewise of attention of few rows over packed rows in whole groups, whose queries are rounded by the group, and weights (times
   * the scales they meet) by the group and 64 keys.
   */
  double attended = 0;
  double norm = 12;
  double silu = 16;
  double rope = 4;
  double attention = 24;
  /** exp of a float32 kernel is 0 below this argument's power; the sigmoid is exact to that much. */
  double exponentFloor = 0x1p-119;
};

/** Those of the instruction set that runs: the table of what differs between them is here. */
const Bounds& bounds();

/** A sum's value with its bound: two losses a term, of its product and of the sum so far, and `floor` times two more. */
Wanted wantedOf(const Sum& sum, double steps, double floor = 0);

/** An array's elements, row-major. */
std::vector<double> elementsOf(mlx_array of, const Shape& shape, mlx_dtype type);

/** The same of a result, which must be of this shape and type, and is freed with the case. */
std::vector<double> evaluated(Case& of, mlx_array found, const Shape& shape, mlx_dtype type);

/** Throws what differs first between values of a type and what they must be. */
void expectValues(const std::vector<double>& found, mlx_dtype type, const std::vector<Wanted>& wanted);

/** Evaluates `found` and compares it; throws what differs first. Its type and shape are demanded too. */
void expectResult(Case& of, mlx_array found, const Shape& shape, mlx_dtype type, const std::vector<Wanted>& wanted);

/** Values compared so far, and those of them that may be anything because float32 overflows on the way to them. */
struct Tally {
  unsigned long long values = 0, open = 0;
};

const Tally& tally();

/** What one kind of operation makes of a case; throws std::runtime_error where the result is wrong. */
using Fuzz = void (*)(Case&);

void fuzzLinear(Case&);
void fuzzPackedLinear(Case&);
void fuzzPackedRows(Case&);
void fuzzExpertLinear(Case&);
void fuzzPackedExpertLinear(Case&);
void fuzzRmsNorm(Case&);
void fuzzSiluMul(Case&);
void fuzzRope(Case&);
void fuzzAttention(Case&);
void fuzzCachedAttention(Case&);
void fuzzPackRows(Case&);
void fuzzVocabulary(Case&);
void fuzzGatedStep(Case&);
void fuzzAttentionStep(Case&);
