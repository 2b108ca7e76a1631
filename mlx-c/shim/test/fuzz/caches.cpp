// The cache that decoding writes into, and its packed rows.
#include "caches.hpp"

#include <algorithm>
#include <utility>

#include "kernels.h"
#include "turn.hpp"

namespace {

constexpr int kGroup = 32;

struct Sizes {
  int count, heads, group, dims, valueDims;
};

/** One sequence's keys or values: [1, heads, rows, dims] of a type, or packed. */
struct Cache {
  Operand operand;
  int rows, dims;

  bool packed() const {
    return operand.type == MLX_UINT8;
  }
  /** What it holds now, and its bytes or elements. */
  std::vector<double> values(const std::vector<double>& elements) const {
    return packed() ? unpackedRows(elements, dims) : elements;
  }
};

/** The cache is row-major: its rows are written where they lie. */
Cache cacheOf(Case& of, const char* name, int heads, int rows, int dims, mlx_dtype type) {
  Shape shape{1, heads, rows, dims};
  of.straight = true;
  Operand made = type == MLX_UINT8 ? packedRows(of, name, shape) : of.floats(name, shape, type);
  of.straight = false;
  return {std::move(made), rows, dims};
}

mlx_dtype cacheType(Case& of) {
  return of.random.chance(0.3) ? MLX_UINT8 : of.floatType();
}

/** What stands in a written row must be what was to be written; every other row must be as it was. */
Numbers checkedCache(const Cache& cache, int row, const std::vector<Wanted>& fresh) {
  std::vector<double> elements = elementsOf(cache.operand.array, cache.operand.shape, cache.operand.type);
  std::vector<double> before = cache.values(cache.operand.values), after = cache.values(elements);
  size_t dims = static_cast<size_t>(cache.dims), rows = static_cast<size_t>(cache.rows);
  std::vector<Wanted> wanted;
  for (double value : before) wanted.push_back({value});
  for (size_t head = 0; head * rows * dims < before.size(); ++head) {
    const Wanted* from = fresh.data() + head * dims;
    std::vector<double> values, errors;
    for (size_t d = 0; d < dims; ++d) values.push_back(from[d].value), errors.push_back(from[d].error);
    std::vector<Wanted> packed = cache.packed() ? repacked(values.data(), errors.data(), cache.dims) : std::vector<Wanted>(from, from + dims);
    std::copy(packed.begin(), packed.end(), wanted.begin() + static_cast<std::ptrdiff_t>((head * rows + static_cast<size_t>(row)) * dims));
  }
  expectValues(after, cache.packed() ? MLX_FLOAT32 : cache.operand.type, wanted);
  return cache.packed() ? packedNumbers(elements, cache.dims) : exact(after);
}

struct Place {
  int position, row, seen;
};

Place placeOf(Random& random, int rows) {
  int row = random.below(rows), seen = random.chance(0.7) ? row + 1 : random.between(1, rows);
  return {random.chance(0.8) ? row : random.below(5000), row, seen};
}

/** Rows [count * heads, dims] turned to each sequence's position. */
std::vector<Wanted> turnedRows(const Operand& x, int heads, int dims, const std::vector<Place>& places, const Turn& turn) {
  std::vector<Wanted> made(x.values.size());
  size_t wide = static_cast<size_t>(dims);
  for (size_t row = 0; row * wide < made.size(); ++row) {
    int position = places[row / static_cast<size_t>(heads)].position;
    turned(x.values.data() + row * wide, dims, position, turn, made.data() + row * wide);
  }
  return made;
}

/** Turned queries: what their errors are fractions of is the size of the pair. */
Numbers queriesOf(const Operand& q, const std::vector<Wanted>& turned) {
  Numbers made;
  for (size_t i = 0; i < turned.size(); ++i) {
    made.values.push_back(turned[i].value);
    made.sizes.push_back(std::max(std::fabs(q.at(i)), std::fabs(turned[i].value)) + turned[i].error / (bounds().rope * kUnit));
  }
  return made;
}

/** One token of each of several sequences, and the caches it is written into. */
struct Step {
  Sizes sizes;
  Turn turn;
  std::vector<Cache> caches;
  std::vector<Place> places;
  Operand q, k, v;

  int heads() const {
    return sizes.heads * sizes.group;
  }
};

Step stepOf(Case& of) {
  Random& random = of.random;
  Sizes sizes{random.between(1, 4), random.between(1, 3), random.between(1, 4), random.chance(0.5) ? 16 * random.between(1, 8) : random.between(2, 70), 0};
  sizes.valueDims = random.chance(0.8) ? sizes.dims : random.between(1, 70);
  Turn turn;
  if (random.chance(0.8)) turn = drawnTurn(of, sizes.dims);
  mlx_dtype type = of.floatType(), keyType = cacheType(of), valueType = cacheType(of);
  std::vector<Cache> caches;
  std::vector<Place> places;
  for (int b = 0; b < sizes.count; ++b) {
    int rows = random.chance(0.1) ? random.between(1, 600) : random.between(1, 90);
    caches.push_back(cacheOf(of, "keys", sizes.heads, rows, sizes.dims, keyType));
    caches.push_back(cacheOf(of, "values", sizes.heads, rows, sizes.valueDims, valueType));
    Place place = placeOf(random, rows);
    of.say("row " + std::to_string(place.row) + " of " + std::to_string(rows) + " seen " + std::to_string(place.seen) + " at " + std::to_string(place.position));
    places.push_back(place);
  }
  Operand q = of.floats("q", {sizes.count, 1, sizes.heads * sizes.group * sizes.dims}, type);
  Operand k = of.floats("k", {sizes.count, 1, sizes.heads * sizes.dims}, of.floatType());
  Operand v = of.floats("v", {sizes.count, sizes.heads, sizes.valueDims}, of.floatType());
  return {sizes, std::move(turn), std::move(caches), std::move(places), std::move(q), std::move(k), std::move(v)};
}

/** What the caches of sequence `b` must hold after the step, checked: keys and values. */
std::pair<Numbers, Numbers> cachesAfter(const Step& step, size_t b, const std::vector<Wanted>& keys) {
  size_t heads = static_cast<size_t>(step.sizes.heads), wide = heads * static_cast<size_t>(step.sizes.dims), valueWide = heads * static_cast<size_t>(step.sizes.valueDims);
  std::vector<Wanted> key(keys.begin() + static_cast<std::ptrdiff_t>(b * wide), keys.begin() + static_cast<std::ptrdiff_t>((b + 1) * wide)), value;
  for (size_t i = 0; i < valueWide; ++i) value.push_back({step.v.at(b * valueWide + i)});
  int row = step.places[b].row;
  return {checkedCache(step.caches[2 * b], row, key), checkedCache(step.caches[2 * b + 1], row, value)};
}

} // namespace

Numbers exact(const std::vector<double>& values) {
  Numbers made{values, values};
  for (double& size : made.sizes) size = std::fabs(size);
  return made;
}

int packedBytes(int dims) {
  return dims + 2 * ((dims + kGroup - 1) / kGroup);
}

Operand packedRows(Case& of, const char* name, Shape shape) {
  int dims = shape.back(), bytes = packedBytes(dims);
  shape.back() = bytes;
  std::vector<double> made(sizeOf(shape));
  for (size_t i = 0; i < made.size(); ++i) {
    int at = static_cast<int>(i % static_cast<size_t>(bytes)), scaleByte = at - dims;
    made[i] = of.random.between(1, 255);
    // The upper byte of a bfloat16 between about 0.01 and 0.5, its lower one anything.
    if (scaleByte >= 0 && scaleByte % 2) made[i] = of.random.between(0x3c, 0x3e);
  }
  return of.of(name, shape, MLX_UINT8, std::move(made));
}

std::vector<double> unpackedRows(const std::vector<double>& bytes, int dims) {
  std::vector<double> values;
  size_t wide = static_cast<size_t>(packedBytes(dims));
  for (size_t row = 0; row < bytes.size(); row += wide) {
    for (size_t d = 0; d < static_cast<size_t>(dims); ++d) {
      size_t at = row + static_cast<size_t>(dims) + d / kGroup * 2;
      const uint8_t scale[] = {static_cast<uint8_t>(bytes[at]), static_cast<uint8_t>(bytes[at + 1])};
      values.push_back(roundedTo(MLX_FLOAT32, (bytes[row + d] - 128) * decode(MLX_BFLOAT16, scale)));
    }
  }
  return values;
}

Numbers packedNumbers(const std::vector<double>& bytes, int dims) {
  Numbers made = exact(unpackedRows(bytes, dims));
  if (bounds().attended == 0 || dims % kGroup != 0) return made;
  std::vector<double> ones = bytes;
  size_t wide = static_cast<size_t>(packedBytes(dims));
  for (size_t row = 0; row < ones.size(); row += wide) std::fill_n(ones.begin() + static_cast<std::ptrdiff_t>(row), dims, 129);
  made.scales = unpackedRows(ones, dims);
  return made;
}

std::vector<Wanted> repacked(const double* values, const double* errors, int dims) {
  std::vector<Wanted> made;
  for (int first = 0; first < dims; first += kGroup) {
    int last = std::min(first + kGroup, dims);
    double most = 0, error = 0;
    bool finite = true;
    for (int d = first; d < last; ++d) {
      most = std::max(most, std::fabs(values[d]) + errors[d]);
      error = std::max(error, errors[d]);
      finite = finite && std::isfinite(values[d]);
    }
    // A scale is the bfloat16 from most / 127 up; below 1e-37 it is zero.
    double step = most / 127 * (1 + 0x1p-7), bound = step * (0.5 + 0x1p-12) + error + 127 * 1.01e-37;
    bool overflows = finite && most > kSafe;
    for (int d = first; d < last; ++d) made.push_back({finite ? values[d] : std::nan(""), overflows ? kInfinity : bound});
  }
  return made;
}

void fuzzPackRows(Case& of) {
  Random& random = of.random;
  int dims = random.chance(0.5) ? 16 * random.between(1, 10) : random.between(1, 140);
  Shape shape = random.pick<Shape>({{dims}, {random.between(0, 9), dims}, {2, random.between(1, 4), random.between(1, 9), dims}});
  Operand x = of.floats("x", shape, of.floatType());
  mlx_array found = mlx_array_new();
  exo_pack_rows(&found, x.array, of.stream);
  Shape packed = shape;
  packed.back() = packedBytes(dims);
  std::vector<double> bytes = evaluated(of, found, packed, MLX_UINT8), none(static_cast<size_t>(dims));
  std::vector<Wanted> wanted;
  for (size_t row = 0; row < x.values.size(); row += static_cast<size_t>(dims)) {
    std::vector<Wanted> of = repacked(x.values.data() + row, none.data(), dims);
    wanted.insert(wanted.end(), of.begin(), of.end());
  }
  expectValues(unpackedRows(bytes, dims), MLX_FLOAT32, wanted);
}

void fuzzCachedAttention(Case& of) {
  Step step = stepOf(of);
  const auto& [sizes, turn, caches, places, q, k, v] = step;
  std::vector<mlx_array> handles;
  std::vector<int> numbers;
  for (const Cache& cache : caches) handles.push_back(cache.operand.array);
  for (const Place& place : places) numbers.insert(numbers.end(), {place.position, place.row, place.seen});
  float scale = 1 / std::sqrt(static_cast<float>(sizes.dims));
  mlx_array found = mlx_array_new();
  exo_cached_attention(
      &found, q.array, k.array, v.array, handles.data(), numbers.data(), static_cast<size_t>(sizes.count), scale, turn.dims,
      turn.traditional, turn.base, turn.scale, turn.periodsOrNull(), of.stream);
  std::vector<double> results = evaluated(of, found, {sizes.count, 1, step.heads() * sizes.valueDims}, q.type);
  std::vector<Wanted> keys = turnedRows(k, sizes.heads, sizes.dims, places, turn), wanted;
  Numbers queries = queriesOf(q, turnedRows(q, step.heads(), sizes.dims, places, turn));
  size_t dims = static_cast<size_t>(sizes.dims), valueDims = static_cast<size_t>(sizes.valueDims), heads = static_cast<size_t>(step.heads());
  for (size_t b = 0; b < places.size(); ++b) {
    auto [held, values] = cachesAfter(step, b, keys);
    for (size_t h = 0; h < heads; ++h) {
      size_t first = h / static_cast<size_t>(sizes.group) * static_cast<size_t>(caches[2 * b].rows);
      Scores scores;
      for (size_t j = 0; j < static_cast<size_t>(places[b].seen); ++j)
        addScore(scores, queries, (b * heads + h) * dims, held, (first + j) * dims, dims, scale, true);
      Weights weights = weightsOf(scores);
      for (size_t d = 0; d < valueDims; ++d) {
        wanted.push_back(mixed(weights, scores, values, first * valueDims + d, valueDims, caches[2 * b + 1].packed()));
      }
    }
  }
  expectValues(results, q.type, wanted);
}
