// Attention of few query rows over long caches: the keys are shared among threads.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels_attention.hpp"
#include "pool.hpp"

namespace mx = mlx::core;

namespace exo {
namespace {

/** Keys of one piece of work; of a long cache at most so many pieces are made, because joining them costs as well. Threads do not
    count: a machine with more of them computes the same bits, and may go on with what another began. */
constexpr size_t kKeysPerPiece = 256;
constexpr size_t kPiecesMost = 16;
/** Products that are worth handing over: they take some 4 us. */
constexpr size_t kProductsPerPiece = 1 << 17;

/** Changes seldom as a cache grows: tokens that are computed together have the bits that they have one by one where it does not. */
size_t pieceKeys(size_t keys) {
  size_t step = kKeysPerPiece;
  while (step * kPiecesMost < keys) step *= 2;
  return step;
}

struct Piece {
  size_t group, index, first, last;
};

} // namespace

bool isHeld(const mx::array& rows, int dims) {
  return isFloat(rows) ? rows.shape(-1) == dims
                       : rows.dtype() == mx::uint8 && static_cast<size_t>(rows.shape(-1)) == packedBytes(static_cast<size_t>(dims));
}

/** A row of n bytes has n / 34 groups, and a part of one perhaps. */
size_t unpackedDims(size_t bytes) {
  size_t group = kPackedGroup + 2;
  return bytes - 2 * ((bytes + group - 1) / group);
}

size_t heldDims(const mx::array& rows) {
  size_t last = static_cast<size_t>(rows.shape(-1));
  return rows.dtype() == mx::uint8 ? unpackedDims(last) : last;
}

size_t heldDims(const View& rows) {
  return rows.dtype == mx::uint8 ? unpackedDims(rows.columns()) : rows.columns();
}

Held heldAs(const View& rows) {
  if (rows.dtype == mx::uint8) return Held::q8;
  return rows.dtype == mx::float32 ? Held::f32 : rows.dtype == mx::float16 ? Held::f16 : Held::bf16;
}

void Mixtures::join(size_t row, size_t count, size_t keys, float* to) const {
  float highest = -std::numeric_limits<float>::infinity(), sum = 0;
  for (size_t p = 0; p < count; ++p) highest = std::max(highest, at(p).best[row]);
  std::fill(to, to + dims, 0.0f);
  if (keys == 0) return;
  for (size_t p = 0; p < count; ++p) {
    Mixture part = at(p);
    float weight = part.best[row] == highest ? 1 : std::exp(part.best[row] - highest);
    sum += part.total[row] * weight;
    for (size_t d = 0; d < dims; ++d) to[d] += part.mixed[row * dims + d] * weight;
  }
  for (size_t d = 0; d < dims; ++d) to[d] /= sum;
}

void attendGroups(const std::vector<Group>& groups, const std::function<void(size_t, size_t, const float*)>& take) {
  std::vector<Piece> pieces;
  std::vector<Mixtures> mixtures;
  mixtures.reserve(groups.size());
  size_t products = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    const Group& group = groups[g];
    size_t step = pieceKeys(group.keys), count = (group.keys + step - 1) / step;
    for (size_t i = 0; i < count; ++i) pieces.push_back({g, i, i * step, std::min((i + 1) * step, group.keys)});
    mixtures.emplace_back(count, group.queries.rows, group.head.valueDims);
    products += group.keys * group.queries.rows * (group.head.keyDims + group.head.valueDims);
  }
  size_t each = products / std::max<size_t>(1, pieces.size());
  parallel(pieces.size(), each >= kProductsPerPiece ? 1 : (kProductsPerPiece + each) / (each + 1), [&](size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) {
      const Piece& piece = pieces[i];
      const Group& group = groups[piece.group];
      kernels().attendFew(group.head, group.queries, piece.first, piece.last, mixtures[piece.group].at(piece.index));
    }
  });
  // Each sum of weighted values takes a few steps, and each piece an exponential.
  size_t joined = 4 * pieces.size() / std::max<size_t>(1, groups.size()) * (mixtures.empty() ? 0 : mixtures[0].rows * mixtures[0].dims);
  parallel(groups.size(), grainOf(joined), [&](size_t first, size_t last) {
    std::vector<float> row;
    for (size_t g = first; g < last; ++g) {
      row.resize(groups[g].head.valueDims);
      size_t step = pieceKeys(groups[g].keys), count = (groups[g].keys + step - 1) / step;
      for (size_t m = 0; m < groups[g].queries.rows; ++m) {
        mixtures[g].join(m, count, groups[g].keys, row.data());
        take(g, m, row.data());
      }
    }
  });
}

} // namespace exo
