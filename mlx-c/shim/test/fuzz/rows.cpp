// Operations that go over rows: normalisation, the gated product, rotation.
#include <optional>

#include "kernels.h"
#include "wanted.hpp"

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

/** Turns per position as the kernels' documentation fixes them: rounded to float32. */
float speedOf(const std::vector<double>& periods, float base, int i, int half) {
  if (!periods.empty()) return 1.0f / static_cast<float>(periods[static_cast<size_t>(i)]);
  return static_cast<float>(std::pow(static_cast<double>(base), -static_cast<double>(i) / half));
}

struct Turn {
  int dims;
  bool traditional;
  float scale;
  int offset;
  std::vector<float> speeds;
};

/** A row at its position; angles are float32 products, by definition. */
void turned(const double* x, int columns, int position, const Turn& turn, Wanted* to) {
  for (int d = turn.dims; d < columns; ++d) to[d] = {x[d]};
  int half = turn.dims / 2;
  for (int i = 0; i < half; ++i) {
    int first = turn.traditional ? 2 * i : i, second = turn.traditional ? first + 1 : i + half;
    float angle = static_cast<float>(turn.offset + position) * turn.scale * turn.speeds[static_cast<size_t>(i)];
    double cosine = std::cos(static_cast<double>(angle)), sine = std::sin(static_cast<double>(angle));
    double a = x[first], b = x[second], error = (std::fabs(a) + std::fabs(b)) * bounds().rope * kUnit + 3 * kLeast;
    to[first] = {a * cosine - b * sine, error};
    to[second] = {a * sine + b * cosine, error};
  }
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
  int columns = random.between(2, random.chance(0.2) ? 200 : 80), half = random.chance(0.5) ? columns / 2 : random.between(1, columns / 2);
  Turn turn{2 * half, random.chance(0.5), random.pick({1.0f, 1.0f, 0.25f, 0.7f}), random.chance(0.5) ? random.below(4096) : random.between(0, 200), {}};
  if (random.chance(0.1)) turn.offset = random.between(-100, 1 << 20);
  float base = random.pick({10000.0f, 500000.0f, 1000000.0f, 100.0f});
  std::string how = "dims " + std::to_string(turn.dims) + (turn.traditional ? " traditional" : "") + " scale " + std::to_string(turn.scale);
  of.say(how + " offset " + std::to_string(turn.offset) + " base " + std::to_string(base));
  Shape shape{random.between(1, 2), random.between(1, 4), random.chance(0.03) ? 0 : random.between(1, 12), columns};
  Operand x = of.floats("x", shape, of.floatType());
  std::optional<Operand> periods;
  if (random.chance(0.4)) {
    std::vector<double> drawn(static_cast<size_t>(half));
    for (double& period : drawn) period = static_cast<float>(std::exp(12 * random.unit()));
    if (random.chance(0.1)) drawn[0] = random.pick({kInfinity, 0.0});
    periods = of.of("periods", {half}, MLX_FLOAT32, std::move(drawn));
  }
  for (int i = 0; i < half; ++i) turn.speeds.push_back(speedOf(periods ? periods->values : std::vector<double>{}, base, i, half));
  mlx_array found = mlx_array_new();
  mlx_optional_float given{periods ? 0 : base, !periods};
  exo_rope(&found, x.array, turn.dims, turn.traditional, given, turn.scale, turn.offset, periods ? periods->array : mlx_array{nullptr}, of.stream);
  std::vector<Wanted> wanted(x.values.size());
  for (size_t row = 0; row * static_cast<size_t>(columns) < x.values.size(); ++row) {
    size_t at = row * static_cast<size_t>(columns);
    turned(x.values.data() + at, columns, static_cast<int>(row % static_cast<size_t>(shape[2])), turn, wanted.data() + at);
  }
  expectResult(of, found, shape, x.type, wanted);
}
