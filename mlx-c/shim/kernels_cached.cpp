// Attention of one new token of each of several sequences, in one step: rotation, the new row of each cache, and the mixture.
#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "arena.hpp"
#include "guarded.hpp"
#include "kernels.h"
#include "kernels_cached.hpp"
#include "mlx/c/private/mlx.h"
#include "pool.hpp"

namespace mx = mlx::core;

namespace exo {
namespace {

/** All elements as floats in row-major order: in place, or copied. */
const float* flat(const View& of, std::vector<float>& space) {
  if (of.adjoining && of.dtype == mx::float32) return reinterpret_cast<const float*>(of.data);
  std::vector<float> row;
  space.resize(of.size());
  for (size_t i = 0; i < of.rows(); ++i)
    std::memcpy(space.data() + i * of.columns(), of.floats(i, row), of.columns() * sizeof(float));
  return space.data();
}

char* rowOf(const View& cache, size_t head, size_t row) {
  int64_t offset = static_cast<int64_t>(head) * cache.strides[1] + static_cast<int64_t>(row) * cache.strides[2];
  return cache.data + offset * static_cast<int64_t>(mx::size_of(cache.dtype));
}

void write(const View& cache, size_t head, size_t row, const float* from, size_t dims) {
  char* to = rowOf(cache, head, row);
  if (cache.dtype == mx::uint8) kernels().pack(from, dims, reinterpret_cast<uint8_t*>(to));
  else kernels().write(cache.type(), from, dims, to);
}

KeyValueHead headOf(const View& keys, const View& values, size_t head) {
  auto stride = [](const View& of) { return of.strides[2] * static_cast<ptrdiff_t>(mx::size_of(of.dtype)); };
  return {rowOf(keys, head, 0), rowOf(values, head, 0), heldAs(keys), heldAs(values),
          stride(keys),         stride(values),         heldDims(keys), heldDims(values)};
}

/** A cache is looked at again after so many tokens: its memory may have become another's at the same place. */
constexpr size_t kLookedAfter = 256;
/** More caches than are in use at once. */
constexpr size_t kCachesMost = 4096;

/**
 * A prompt leaves its cache where MLX copied it, in small pages; each token then reads all of it, which takes half as long again. So
 * the first token moves it.
 */
void settle(const View& cache, size_t row) {
  static thread_local std::unordered_set<const void*> settled;
  if (!settled.insert(cache.data).second && row % kLookedAfter != 0) return;
  if (settled.size() > kCachesMost) settled.clear();
  moveToLargePages(cache.data, cache.size() * mx::size_of(cache.dtype));
}

/** Packs rows for a cache: x [.., D] to bytes [.., packedBytes(D)]. */
struct PackRows {
  static constexpr const char* name = "ExoPackRows";

  bool operator==(const PackRows&) const = default;

  void operator()(const std::vector<View>& inputs, const View& out) const {
    const View& x = inputs[0];
    parallel(x.rows(), grainOf(4 * x.columns()), [&](size_t first, size_t last) {
      std::vector<float> row;
      for (size_t i = first; i < last; ++i)
        kernels().pack(x.floats(i, row), x.columns(), reinterpret_cast<uint8_t*>(out.row(i)));
    });
  }
};

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

} // namespace

void CachedAttention::operator()(const std::vector<View>& inputs, const View& out) const {
  std::vector<float> spaces[3];
  const float* fresh[3];
  for (size_t i = 0; i < 3; ++i) fresh[i] = flat(inputs[i], spaces[i]);
  const View& first = inputs[3];
  size_t kvHeads = first.shape[1], dims = heldDims(first), valueDims = heldDims(inputs[4]), count = places.size();
  size_t heads = inputs[0].size() / (count * dims), group = heads / kvHeads;
  const Angles* angles = anglesFor(inputs);
  std::vector<float> queries(count * heads * dims), key(dims);
  std::vector<Sight> sights;
  sights.reserve(count * group);
  std::vector<Group> groups;
  groups.reserve(count * kvHeads);
  for (size_t b = 0; b < count; ++b) {
    const View &keys = inputs[3 + 2 * b], &values = inputs[4 + 2 * b];
    size_t seen = places[b].seen;
    for (const View* cache : {&keys, &values}) settle(*cache, places[b].row);
    for (size_t i = 0; i < group; ++i) sights.push_back({seen, nullptr, 0});
    for (size_t h = 0; h < kvHeads; ++h) {
      size_t at = b * kvHeads + h;
      turned(angles, b, fresh[1] + at * dims, dims, key.data());
      write(keys, h, places[b].row, key.data(), dims);
      write(values, h, places[b].row, fresh[2] + at * valueDims, valueDims);
      float* query = queries.data() + at * group * dims;
      for (size_t i = 0; i < group; ++i) turned(angles, b, fresh[0] + (at * group + i) * dims, dims, query + i * dims);
      for (size_t d = 0; d < group * dims; ++d) query[d] *= scale;
      groups.push_back({headOf(keys, values, h), {query, sights.data() + b * group, group}, seen});
    }
  }
  attendGroups(groups, [&](size_t g, size_t row, const float* mixed) {
    kernels().write(out.type(), mixed, valueDims, out.data + (g * group + row) * valueDims * mx::size_of(out.dtype));
  });
}

const Angles* CachedAttention::anglesFor(const std::vector<View>& inputs) const {
  if (rotation.dims == 0) return nullptr;
  std::vector<int> positions;
  for (const Place& place : places) positions.push_back(place.position);
  return &anglesOf(rotation, inputs.size() % 2 == 0 ? &inputs.back() : nullptr, positions);
}

void CachedAttention::turned(const Angles* angles, size_t b, const float* from, size_t dims, float* to) const {
  size_t half = static_cast<size_t>(rotation.dims) / 2;
  if (angles)
    kernels().rotate(from, angles->cosines.data() + b * half, angles->sines.data() + b * half, half, rotation.traditional, to);
  std::copy(from + 2 * half, from + dims, to + 2 * half);
}

std::vector<Place> placesOf(const int* numbers, size_t count) {
  std::vector<Place> places(count);
  for (size_t b = 0; b < count; ++b) places[b] = {numbers[3 * b], numbers[3 * b + 1], numbers[3 * b + 2]};
  return places;
}

void CachedAttention::check(size_t q, size_t k, size_t v, const std::vector<mx::array>& caches) const {
  int count = static_cast<int>(places.size());
  const auto& first = caches[0];
  require(first.ndim() == 4 && first.shape(1) > 0 && caches[1].ndim() == 4, "a cache has four axes and a head");
  int heads = first.shape(1), dims = static_cast<int>(heldDims(first)), valueDims = static_cast<int>(heldDims(caches[1]));
  size_t rows = static_cast<size_t>(count) * heads;
  require(dims > 0 && valueDims > 0 && k == rows * dims && v == rows * valueDims && q > 0 && q % (rows * dims) == 0,
          "queries, keys, values and caches differ in their heads");
  for (int b = 0; b < count; ++b) {
    const Place& place = places[b];
    for (int i : {2 * b, 2 * b + 1}) {
      const auto& cache = caches[i];
      require(cache.ndim() == 4 && cache.shape(0) == 1 && cache.shape(1) == heads && isHeld(cache, i % 2 ? valueDims : dims),
              "the caches differ");
      require(place.row >= 0 && place.row < cache.shape(2) && place.seen > 0 && place.seen <= cache.shape(2), "no such row in a cache");
    }
  }
  require(rotation.dims >= 0 && rotation.dims % 2 == 0 && rotation.dims <= dims, "so many channels cannot be rotated");
  bool periods = caches.size() % 2 == 1;
  require(rotation.dims == 0 || periods != (rotation.base > 0), "give exactly one of base and freqs");
  if (periods) require(caches.back().dtype() == mx::float32 && caches.back().size() * 2 == static_cast<size_t>(rotation.dims), "freqs");
}

} // namespace exo

extern "C" int exo_cached_attention(
    mlx_array* res,
    const mlx_array q,
    const mlx_array k,
    const mlx_array v,
    const mlx_array* caches,
    const int* places,
    size_t count,
    float scale,
    int dims,
    bool traditional,
    mlx_optional_float base,
    float rope_scale,
    const mlx_array freqs,
    const mlx_stream s) {
  return exo::guarded([&] {
    std::vector<mx::array> inputs{mlx_array_get_(q), mlx_array_get_(k), mlx_array_get_(v)};
    for (const auto& fresh : inputs) exo::require(exo::isFloat(fresh), "queries, keys and values must be floats");
    exo::require(count > 0, "no sequence to decode");
    std::vector<mx::array> held;
    for (size_t i = 0; i < 2 * count; ++i) held.push_back(mlx_array_get_(caches[i]));
    if (freqs.ctx) held.push_back(mlx_array_get_(freqs));
    exo::CachedAttention attention{{dims, traditional, base.has_value ? base.value : 0, rope_scale}, scale, exo::placesOf(places, count)};
    attention.check(inputs[0].size(), inputs[1].size(), inputs[2].size(), held);
    int rows = static_cast<int>(count);
    size_t made = inputs[0].size() / exo::heldDims(held[0]) * exo::heldDims(held[1]);
    mx::Shape shape{rows, 1, static_cast<int>(made / count)};
    mx::Dtype type = inputs[0].dtype();
    inputs.insert(inputs.end(), held.begin(), held.end());
    mlx_array_set_(*res, exo::lazy(std::move(shape), type, mlx_stream_get_(s), std::move(attention), std::move(inputs)));
  });
}

extern "C" int exo_pack_rows(mlx_array* res, const mlx_array x, const mlx_stream s) {
  return exo::guarded([&] {
    const auto& rows = mlx_array_get_(x);
    if (!exo::isFloat(rows) || rows.ndim() == 0 || rows.shape(-1) == 0) throw std::invalid_argument("rows of floats can be packed");
    mx::Shape shape = rows.shape();
    shape.back() = static_cast<int>(exo::packedBytes(static_cast<size_t>(shape.back())));
    mlx_array_set_(*res, exo::lazy(std::move(shape), mx::uint8, mlx_stream_get_(s), exo::PackRows{}, {rows}));
  });
}
