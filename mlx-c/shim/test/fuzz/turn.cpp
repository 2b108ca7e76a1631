#include "turn.hpp"

namespace {

/** As the kernels' documentation fixes them: rounded to float32. */
float speedOf(const Turn& turn, int i) {
  if (turn.periods) return 1.0f / static_cast<float>(turn.periods->at(static_cast<size_t>(i)));
  return static_cast<float>(std::pow(static_cast<double>(turn.base.value), -static_cast<double>(i) / (turn.dims / 2)));
}

} // namespace

Turn drawnTurn(Case& of, int columns) {
  Random& random = of.random;
  Turn turn;
  int half = random.chance(0.5) ? columns / 2 : random.between(1, columns / 2);
  turn.dims = 2 * half;
  turn.traditional = random.chance(0.5);
  turn.scale = random.pick({1.0f, 1.0f, 0.25f, 0.7f});
  of.say("dims " + std::to_string(turn.dims) + (turn.traditional ? " traditional" : "") + " scale " + std::to_string(turn.scale));
  if (random.chance(0.4)) {
    std::vector<double> drawn(static_cast<size_t>(half));
    for (double& period : drawn) period = static_cast<float>(std::exp(12 * random.unit()));
    if (random.chance(0.1)) drawn[0] = random.pick({kInfinity, 0.0});
    turn.periods = of.of("periods", {half}, MLX_FLOAT32, std::move(drawn));
  } else {
    turn.base = {random.pick({10000.0f, 500000.0f, 1000000.0f, 100.0f}), true};
    of.say("base " + std::to_string(turn.base.value));
  }
  for (int i = 0; i < half; ++i) turn.speeds.push_back(speedOf(turn, i));
  return turn;
}

void turned(const double* x, int columns, int position, const Turn& turn, Wanted* to) {
  for (int d = turn.dims; d < columns; ++d) to[d] = {x[d]};
  int half = turn.dims / 2;
  for (int i = 0; i < half; ++i) {
    int first = turn.traditional ? 2 * i : i, second = turn.traditional ? first + 1 : i + half;
    float angle = static_cast<float>(position) * turn.scale * turn.speeds[static_cast<size_t>(i)];
    double cosine = std::cos(static_cast<double>(angle)), sine = std::sin(static_cast<double>(angle));
    double a = x[first], b = x[second], error = (std::fabs(a) + std::fabs(b)) * bounds().rope * kUnit + 3 * kLeast;
    to[first] = {a * cosine - b * sine, error};
    to[second] = {a * sine + b * cosine, error};
  }
}
