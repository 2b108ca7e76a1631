// The steps of a layer against the operations that they stand for, one by one: both must give the same bits.
#include <cstring>
#include <optional>
#include <stdexcept>

#include "caches.hpp"
#include "kernels.h"
#include "turn.hpp"
#include "weights.hpp"

namespace {

struct Weighted {
  Made weight;
  std::optional<Operand> bias;
};

/** What C gets of a step. */
struct Lists {
  std::vector<mlx_array> arrays;
  std::vector<int> packings;

  void add(const Weighted& of) {
    const Made& w = of.weight;
    arrays.push_back(w.weight.array);
    if (w.scales) arrays.push_back(w.scales->array);
    if (w.biases) arrays.push_back(w.biases->array);
    if (of.bias) arrays.push_back(of.bias->array);
    const char* modes[] = {"affine", "mxfp4", "mxfp8", "nvfp4"};
    int mode = 0;
    while (w.bits && std::strcmp(modes[mode], w.mode)) ++mode;
    packings.insert(packings.end(), {w.bits, w.group, mode, of.bias.has_value()});
  }
};

/** `like`: a packed weight whose packing it is to have. */
Weighted drawnWeight(Case& of, int rows, int columns, const Made* like = nullptr) {
  bool packed = like || (columns % 32 == 0 && of.random.chance(0.8));
  Weighted made{packed ? packedWeight(of, 0, rows, columns, like) : denseWeight(of, 0, rows, columns), std::nullopt};
  if (of.random.chance(0.3)) made.bias = of.floats("bias", {rows}, MLX_FLOAT32);
  return made;
}

/** Weights that most often want x in the same form. */
std::vector<Weighted> drawnWeights(Case& of, const std::vector<int>& rows, int columns) {
  std::vector<Weighted> made{drawnWeight(of, rows[0], columns)};
  for (size_t i = 1; i < rows.size(); ++i) {
    bool same = made[0].weight.bits && of.random.chance(0.7);
    made.push_back(drawnWeight(of, rows[i], columns, same ? &made[0].weight : nullptr));
  }
  return made;
}

mlx_array product(Case& of, mlx_array x, const Weighted& by) {
  const Made& w = by.weight;
  mlx_array found = mlx_array_new(), sum = mlx_array_new();
  mlx_array bias = by.bias ? by.bias->array : mlx_array{nullptr};
  if (w.bits == 0) {
    exo_linear(&found, x, w.weight.array, bias, of.stream);
    return of.keep(found);
  }
  exo_quantized_linear(&found, x, w.weight.array, w.scales->array, w.biasesOrNull(), w.group, w.bits, w.mode, of.stream);
  of.keep(found);
  if (!by.bias) return found;
  mlx_add(&sum, found, bias, of.stream);
  return of.keep(sum);
}

/** What a step begins with. */
struct Start {
  Operand x;
  std::optional<Operand> y;
  Operand norm;
  float eps;

  mlx_array yOrNull() const {
    return y ? y->array : mlx_array{nullptr};
  }
};

Start startOf(Case& of, int rows, int hidden) {
  mlx_dtype type = of.random.chance(0.95) ? MLX_FLOAT32 : MLX_FLOAT16;
  Start made{of.floats("x", {rows, 1, hidden}, type), std::nullopt, of.floats("norm", {hidden}, type), of.random.pick({1e-6f, 1e-5f, 0.0f})};
  if (of.random.chance(0.8)) made.y = of.floats("y", {rows, 1, hidden}, type);
  return made;
}

struct Results {
  mlx_array sum, made;
};

/** The sum and its norm. */
Results normOf(Case& of, const Start& start) {
  Results found{mlx_array_new(), mlx_array_new()};
  if (start.y) exo_add_rms_norm(&found.sum, &found.made, start.x.array, start.y->array, start.norm.array, start.eps, of.stream);
  else mlx_array_set(&found.sum, start.x.array), exo_rms_norm(&found.made, start.x.array, start.norm.array, start.eps, of.stream);
  of.keep(found.sum);
  of.keep(found.made);
  return found;
}

void expectSame(const char* what, const std::vector<double>& found, const std::vector<double>& wanted) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (std::memcmp(&found[i], &wanted[i], sizeof(double)) == 0 || (std::isnan(found[i]) && std::isnan(wanted[i]))) continue;
    throw std::runtime_error(std::string(what) + " " + std::to_string(i) + " is " + std::to_string(found[i]) + ", not " + std::to_string(wanted[i]));
  }
}

/** Both are evaluated, the step first. Steps are for float32 alone. */
void expectSame(Case& of, const Start& start, Results found, Results wanted) {
  if (start.x.type != MLX_FLOAT32) {
    if (found.sum.ctx || found.made.ctx) throw std::runtime_error("a step was made of what is not float32");
    return;
  }
  std::vector<double> sum = evaluated(of, found.sum, start.x.shape, MLX_FLOAT32), made = evaluated(of, found.made, start.x.shape, MLX_FLOAT32);
  expectSame("sum", sum, elementsOf(wanted.sum, start.x.shape, MLX_FLOAT32));
  expectSame("result", made, elementsOf(wanted.made, start.x.shape, MLX_FLOAT32));
}

int drawnWidth(Random& random) {
  return random.chance(0.8) ? 32 * random.between(1, random.chance(0.2) ? 12 : 4) : random.between(1, 70);
}

/** Keys or values of one sequence, twice: for the step, and for the operations one by one. */
struct Twice {
  Operand one, other;
};

Twice drawnCache(Case& of, int heads, int rows, int dims, mlx_dtype type) {
  of.straight = true;
  Shape shape{1, heads, rows, dims};
  Operand one = type == MLX_UINT8 ? packedRows(of, "cache", shape) : of.floats("cache", shape, type);
  Operand other = of.of("again", one.shape, one.type, one.values);
  of.straight = false;
  return {std::move(one), std::move(other)};
}

/** One token of each of several sequences. */
struct Tokens {
  int count, heads, group, dims, valueDims;
  std::vector<Twice> caches;
  std::vector<int> places;
  Turn turn;
  float scale = 0.25f;
};

Tokens tokensOf(Case& of) {
  Random& random = of.random;
  int dims = 2 * random.between(1, 20);
  Tokens made{random.chance(0.7) ? random.between(1, 4) : random.between(1, 12), random.between(1, 3), random.between(1, 3), dims, random.chance(0.7) ? dims : random.between(1, 30), {}, {}, {}};
  if (random.chance(0.8)) made.turn = drawnTurn(of, dims);
  mlx_dtype type = random.pick({MLX_FLOAT32, MLX_FLOAT16, MLX_UINT8});
  for (int b = 0; b < made.count; ++b) {
    int rows = random.between(1, 40), row = random.below(rows);
    made.caches.push_back(drawnCache(of, made.heads, rows, dims, type));
    made.caches.push_back(drawnCache(of, made.heads, rows, made.valueDims, type));
    made.places.insert(made.places.end(), {random.between(0, 500), row, random.between(1, rows)});
  }
  return made;
}

/** A norm of each head's rows [count * heads, dims]. */
mlx_array headNorm(Case& of, mlx_array rows, const Operand& norm, int dims, float eps) {
  mlx_array split = mlx_array_new(), found = mlx_array_new();
  int shape[] = {-1, dims};
  if (mlx_array_size(rows) == 0) return rows;
  mlx_reshape(&split, rows, shape, 2, of.stream);
  exo_rms_norm(&found, of.keep(split), norm.array, eps, of.stream);
  return of.keep(found);
}

} // namespace

void fuzzGatedStep(Case& of) {
  Random& random = of.random;
  int rows = random.chance(0.7) ? random.between(1, 9) : random.between(0, 30), hidden = drawnWidth(random), width = drawnWidth(random);
  Start start = startOf(of, rows, hidden);
  std::vector<Weighted> inner = drawnWeights(of, {width, width}, hidden);
  Weighted down = drawnWeight(of, hidden, width);
  Lists lists{{start.norm.array}, {}};
  for (const Weighted* w : {&inner[0], &inner[1], &down}) lists.add(*w);
  Results found{mlx_array_new(), mlx_array_new()}, wanted = normOf(of, start);
  exo_gated_step(&found.sum, &found.made, start.x.array, start.yOrNull(), lists.arrays.data(), lists.packings.data(), start.eps, of.stream);
  mlx_array gated = mlx_array_new();
  exo_silu_mul(&gated, product(of, wanted.made, inner[0]), product(of, wanted.made, inner[1]), of.stream);
  wanted.made = product(of, of.keep(gated), down);
  expectSame(of, start, found, wanted);
}

void fuzzAttentionStep(Case& of) {
  Random& random = of.random;
  Tokens tokens = tokensOf(of);
  const auto& [count, heads, group, dims, valueDims, caches, places, turn, scale] = tokens;
  int hidden = drawnWidth(random);
  Start start = startOf(of, count, hidden);
  std::vector<Weighted> by = drawnWeights(of, {heads * group * dims, heads * dims, heads * valueDims}, hidden);
  by.push_back(drawnWeight(of, hidden, heads * group * valueDims));
  Lists lists{{start.norm.array}, {}};
  for (const Weighted& w : by) lists.add(w);
  std::vector<Operand> norms;
  if (random.chance(0.4)) norms = {of.floats("q norm", {dims}, MLX_FLOAT32), of.floats("k norm", {dims}, MLX_FLOAT32)};
  for (const Operand& norm : norms) lists.arrays.push_back(norm.array);
  if (norms.empty()) lists.arrays.push_back({nullptr});
  std::vector<mlx_array> others;
  for (const Twice& cache : caches) lists.arrays.push_back(cache.one.array), others.push_back(cache.other.array);
  Results found{mlx_array_new(), mlx_array_new()}, wanted = normOf(of, start);
  float headEps = 1e-5f;
  exo_attention_step(
      &found.sum, &found.made, start.x.array, start.yOrNull(), lists.arrays.data(), lists.packings.data(), start.eps, headEps, places.data(),
      static_cast<size_t>(count), scale, turn.dims, turn.traditional, turn.base, turn.scale, turn.periodsOrNull(), of.stream);
  mlx_array asked[3], mixed = mlx_array_new();
  for (size_t i = 0; i < 3; ++i) {
    asked[i] = product(of, wanted.made, by[i]);
    if (i < norms.size()) asked[i] = headNorm(of, asked[i], norms[i], dims, headEps);
  }
  exo_cached_attention(
      &mixed, asked[0], asked[1], asked[2], others.data(), places.data(), static_cast<size_t>(count), scale, turn.dims, turn.traditional,
      turn.base, turn.scale, turn.periodsOrNull(), of.stream);
  wanted.made = product(of, of.keep(mixed), by[3]);
  expectSame(of, start, found, wanted);
  if (!found.sum.ctx) return;
  for (const auto& [one, other] : caches)
    expectSame("cache", elementsOf(one.array, one.shape, one.type), elementsOf(other.array, other.shape, other.type));
}
