// Operations that go over rows: normalisation, the gated product, rotation.
#include "kernels.h"
#include "turn.hpp"

namespace {

int columnsOf(Random& random) {
  if (random.chance(0.02)) return random.between(600, 1100);
  if (random.chance(0.4)) return 16 * random.between(1, 18) + random.between(-1, 1);
  return random.chance(0.5) ? random.between(1, 40) : random.between(0, 300);
}

Shape rowsOf(Random& random, int columns) {
  int rows = random.chance(0.04) ? 0 : random.chance(0.1) ? random.between(10, 200) : random.between(1, 9);
  switch (random.below(4)) {
    case 0: return {columns};
    case 1: return {rows, columns};
    case 2: return {random.between(1, 3), rows, columns};
    default: return {1, random.between(1, 3), rows, columns};
  }
}

/** The factor of a row of normalised values, with its error relative to it; kInfinity where float32 does not hold the squares. */
struct Factor {
  double value, error;
};

Factor factorOf(const double* x, size_t columns, double eps) {
  double squares = 0, count = static_cast<double>(columns);
  for (size_t i = 0; i < columns; ++i) squares += x[i] * x[i];
  double radicand = squares / count + eps;
  if (!std::isfinite(squares) || radicand == 0) return {1 / std::sqrt(radicand), 0};
  double error = ((count + bounds().norm) * kUnit * (squares / count + eps) + kLeast) / radicand;
  return {1 / std::sqrt(radicand), squares > kSafe || error > 0.25 ? kInfinity : error};
}

Wanted normalised(double x, double weight, Factor factor) {
  double value = x * factor.value * weight;
  if (factor.error == kInfinity && !std::isnan(value)) return {value, kInfinity};
  return {value, std::fabs(value) * factor.error + (std::fabs(weight) + 1) * kLeast};
}

Wanted gatedValue(double gate, double up) {
  double gated = gate * (1 / (1 + std::exp(-gate))), value = gated * up;
  // exp(-gate) passes float32's range there, and the gate closes early.
  double floor = gate < -80 && std::isfinite(gate) ? std::fabs(gate) * bounds().exponentFloor : kLeast;
  if (floor != kLeast && std::isinf(up)) return {value, kInfinity};
  return {value, std::fabs(value) * bounds().silu * kUnit + std::fabs(up) * floor + kLeast};
}

} // namespace

void fuzzRmsNorm(Case& of) {
  Random& random = of.random;
  int columns = columnsOf(random);
  mlx_dtype type = of.floatType();
  float eps = random.pick({1e-6f, 1e-5f, 1e-3f, 0.0f});
  of.say("eps " + std::to_string(eps));
  Operand x = of.floats("x", rowsOf(random, columns), type), weight = of.floats("weight", {columns}, type);
  mlx_array found = mlx_array_new();
  exo_rms_norm(&found, x.array, weight.array, eps, of.stream);
  std::vector<Wanted> wanted;
  for (size_t at = 0; at < x.values.size(); at += weight.values.size()) {
    Factor factor = factorOf(x.values.data() + at, weight.values.size(), eps);
    for (size_t i = 0; i < weight.values.size(); ++i) wanted.push_back(normalised(x.at(at + i), weight.at(i), factor));
  }
  expectResult(of, found, x.shape, type, wanted);
}

void fuzzSiluMul(Case& of) {
  Random& random = of.random;
  mlx_dtype type = of.floatType();
  Shape shape = rowsOf(random, columnsOf(random));
  Operand gate = of.floats("gate", shape, type), up = random.chance(0.05) ? gate : of.floats("up", shape, type);
  mlx_array found = mlx_array_new();
  exo_silu_mul(&found, gate.array, up.array, of.stream);
  std::vector<Wanted> wanted;
  for (size_t i = 0; i < gate.values.size(); ++i) wanted.push_back(gatedValue(gate.at(i), up.at(i)));
  expectResult(of, found, shape, type, wanted);
}

void fuzzRope(Case& of) {
  Random& random = of.random;
  int columns = random.between(2, random.chance(0.2) ? 200 : 80);
  Turn turn = drawnTurn(of, columns);
  turn.offset = random.chance(0.5) ? random.below(4096) : random.between(0, 200);
  if (random.chance(0.1)) turn.offset = random.between(-100, 1 << 20);
  of.say("offset " + std::to_string(turn.offset));
  Shape shape{random.between(1, 2), random.between(1, 4), random.chance(0.03) ? 0 : random.between(1, 12), columns};
  Operand x = of.floats("x", shape, of.floatType());
  mlx_array found = mlx_array_new();
  exo_rope(&found, x.array, turn.dims, turn.traditional, turn.base, turn.scale, turn.offset, turn.periodsOrNull(), of.stream);
  std::vector<Wanted> wanted(x.values.size());
  for (size_t row = 0; row * static_cast<size_t>(columns) < x.values.size(); ++row) {
    size_t at = row * static_cast<size_t>(columns);
    turned(x.values.data() + at, columns, turn.offset + static_cast<int>(row % static_cast<size_t>(shape[2])), turn, wanted.data() + at);
  }
  expectResult(of, found, shape, x.type, wanted);
}
