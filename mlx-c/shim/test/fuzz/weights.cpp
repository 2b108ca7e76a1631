#include "weights.hpp"

namespace {

struct Packing {
  const char* mode;
  int bits, group;
};

Packing packingOf(Random& random) {
  if (random.chance(0.2)) return random.pick<Packing>({{"mxfp4", 4, 32}, {"mxfp8", 8, 32}, {"nvfp4", 4, 16}});
  return {"affine", random.pick({4, 4, 4, 8, 8, 2, 3, 5, 6}), random.pick({32, 64, 128})};
}

/** e2m1: a sign, two bits of exponent, one of fraction. */
double smallFloat(int code) {
  constexpr double sizes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  return code & 8 ? -sizes[code & 7] : sizes[code & 7];
}

/** e4m3. As MLX has it, the code that the format keeps for NaN is 480. */
double byteFloat(int code) {
  int exponent = code >> 3 & 15, fraction = code & 7;
  double size = exponent ? std::ldexp(8 + fraction, exponent - 10) : std::ldexp(fraction, -9);
  return code & 128 ? -size : size;
}

double codeValue(const Packing& packing, int code) {
  if (packing.mode[0] == 'a') return code;
  return packing.bits == 8 ? byteFloat(code) : smallFloat(code);
}

/** Value i of a row is at its bit i * bits. */
std::vector<double> unpacked(const Operand& words, const Packing& packing, size_t columns) {
  size_t perRow = static_cast<size_t>(words.shape.back()), rows = perRow ? words.values.size() / perRow : 0;
  size_t bits = static_cast<size_t>(packing.bits);
  std::vector<double> values(rows * columns);
  for (size_t i = 0; i < values.size(); ++i) {
    size_t bit = i % columns * bits, at = i / columns * perRow + bit / 32;
    uint64_t pair = static_cast<uint64_t>(words.values[at]);
    if (bit % 32 + bits > 32) pair |= static_cast<uint64_t>(words.values[at + 1]) << 32;
    values[i] = codeValue(packing, static_cast<int>(pair >> bit % 32 & ((1u << bits) - 1)));
  }
  return values;
}

/** The scales of the small floats are bytes: powers of two, or (nvfp4) floats themselves. */
Operand byteScales(Case& of, const Shape& shape, bool powers) {
  std::vector<double> codes(sizeOf(shape));
  bool any = of.random.chance(0.1);
  for (double& code : codes) code = any ? of.random.below(256) : powers ? of.random.between(115, 131) : of.random.between(0, 126);
  return of.of("scales", shape, MLX_UINT8, std::move(codes));
}

std::vector<double> byteScaleValues(const Operand& scales, bool powers) {
  std::vector<double> values;
  for (double code : scales.values) {
    double power = code == 255 ? std::nan("") : std::ldexp(1.0, static_cast<int>(code) - 127);
    values.push_back(powers ? power : byteFloat(static_cast<int>(code)));
  }
  return values;
}

} // namespace

int weightRows(Random& random) {
  if (random.chance(0.02)) return 0;
  if (random.chance(0.05)) return random.between(41, 200);
  return random.between(1, 40);
}

int denseColumns(Random& random) {
  if (random.chance(0.02)) return random.between(0, 1);
  if (random.chance(0.02)) return random.between(1000, 2100);
  if (random.chance(0.4)) return 16 * random.between(1, 18) + random.between(-1, 1);
  return random.chance(0.5) ? random.between(1, 40) : random.between(1, 300);
}

Made denseWeight(Case& of, int matrices, int rows, int columns) {
  Shape shape = matrices ? Shape{matrices, rows, columns} : Shape{rows, columns};
  Operand weight = of.floats("weight", shape, of.floatType());
  Weight plain{static_cast<size_t>(rows), static_cast<size_t>(columns), weight.values};
  return {std::move(plain), std::move(weight), std::nullopt, std::nullopt};
}

Made packedWeight(Case& of, int matrices, int rows, int columns, const Made* like) {
  Random& random = of.random;
  Packing packing = like ? Packing{like->mode, like->bits, like->group} : packingOf(random);
  while (columns > 0 && columns % packing.group) packing = packingOf(random);
  auto [mode, bits, group] = packing;
  int groups = columns > 0 ? columns / group : random.chance(0.02) ? 0 : random.chance(0.04) ? random.between(1000 / group, 2100 / group) : random.between(1, 320 / group);
  columns = groups * group;
  of.say(std::string(mode) + " bits " + std::to_string(bits) + " group " + std::to_string(group));
  auto shaped = [&](int last) { return matrices ? Shape{matrices, rows, last} : Shape{rows, last}; };
  Shape grouped = shaped(groups);
  std::vector<double> drawn(sizeOf(shaped(columns * bits / 32)));
  for (double& word : drawn) word = static_cast<double>(random.next() >> 32);
  Operand words = of.of("weight", shaped(columns * bits / 32), MLX_UINT32, std::move(drawn));
  Weight plain{static_cast<size_t>(rows), static_cast<size_t>(columns), unpacked(words, packing, static_cast<size_t>(columns)), static_cast<size_t>(group)};
  plain.affine = mode[0] == 'a';
  plain.rounds = std::string(mode) != "mxfp8";
  plain.raised = plain.rounds && !plain.affine ? 6 : 0;
  if (!plain.affine) {
    bool powers = mode[0] == 'm';
    Operand scales = byteScales(of, grouped, powers);
    plain.scales = byteScaleValues(scales, powers);
    plain.biases.resize(plain.scales.size());
    return {std::move(plain), std::move(words), std::move(scales), std::nullopt, group, bits, mode};
  }
  mlx_dtype type = like ? like->scales->type : of.floatType();
  Operand scales = of.floats("scales", grouped, type), biases = of.floats("biases", grouped, type);
  plain.scales = scales.values;
  plain.biases = biases.values;
  return {std::move(plain), std::move(words), std::move(scales), std::move(biases), group, bits, mode};
}
