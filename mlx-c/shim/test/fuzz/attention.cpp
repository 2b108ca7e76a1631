// Attention against softmax(scale * q k^T) v in double precision, with the scores held as a whole.
#include <algorithm>
#include <optional>

#include "caches.hpp"
#include "kernels.h"
#include "softmax.hpp"

namespace {

/** Up to so many query rows a key is read as it lies. */
constexpr int kFewRows = 16;

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

/** Rows of keys or values as a cache may hold them. */
struct Held {
  Operand operand;
  Numbers numbers;
};

/** `few`: few query rows share them. */
Held heldRows(Case& of, const char* name, const Shape& shape, bool few) {
  if (!of.random.chance(0.15)) {
    Operand rows = of.floats(name, shape, of.floatType());
    return {rows, exact(rows.values)};
  }
  Operand rows = packedRows(of, name, shape);
  return {rows, few ? packedNumbers(rows.values, shape.back()) : exact(unpackedRows(rows.values, shape.back()))};
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
  bool few = sizes.group * sizes.length <= kFewRows;
  Held k = heldRows(of, "k", {sizes.batch, sizes.heads, sizes.keys, sizes.dims}, few);
  Held v = heldRows(of, "v", {sizes.batch, sizes.heads, sizes.keys, sizes.valueDims}, few);
  bool causal = random.chance(0.4);
  std::optional<Operand> mask = !causal && random.chance(0.4) ? maskOf(of, sizes) : std::nullopt;
  float scale = random.chance(0.8) ? 1 / std::sqrt(static_cast<float>(sizes.dims)) : random.pick({1.0f, 0.1f, 4.0f});
  of.say(std::string(causal ? "causal" : "") + " scale " + std::to_string(scale));
  mlx_array found = mlx_array_new();
  exo_attention(&found, q.array, k.operand.array, v.operand.array, scale, causal, mask ? mask->array : mlx_array{nullptr}, of.stream);
  std::vector<Wanted> wanted;
  Numbers queries = exact(q.values);
  for (int b = 0; b < sizes.batch; ++b) {
    for (int h = 0; h < heads; ++h) {
      size_t head = static_cast<size_t>((b * sizes.heads + h / sizes.group) * sizes.keys), dims = static_cast<size_t>(sizes.dims);
      for (int l = 0; l < sizes.length; ++l) {
        size_t query = static_cast<size_t>((b * heads + h) * sizes.length + l) * dims;
        Scores scores;
        for (int j = 0; j < sizes.keys; ++j) {
          bool seen = mask ? sees(*mask, {b, h, l, j}) : !causal || j <= sizes.keys - sizes.length + l;
          addScore(scores, queries, query, k.numbers, (head + static_cast<size_t>(j)) * dims, dims, scale, seen);
        }
        Weights weights = weightsOf(scores);
        size_t valueDims = static_cast<size_t>(sizes.valueDims);
        for (size_t d = 0; d < valueDims; ++d) {
          wanted.push_back(mixed(weights, scores, v.numbers, head * valueDims + d, valueDims, v.operand.type == MLX_UINT8));
        }
      }
    }
  }
  expectResult(of, found, {sizes.batch, heads, sizes.length, sizes.valueDims}, type, wanted);
}
