#include "ggml.h"

#include <atomic>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "centred.hpp"
#include "checkpoint.hpp"
#include "ggml_blocks.hpp"
#include "ggml_blocks_iq.hpp"
#include "mlx/allocator.h"
#include "mlx/c/private/mlx.h"

namespace mx = mlx::core;

namespace exo::ggml {
namespace {

/** Weights of one scale in everything that is unpacked here. */
constexpr size_t kGroup = 32;
/** Bytes that one thread reads at a time: enough for the disk, little beside the weights. */
constexpr size_t kBatchBytes = size_t{1} << 20;
/** More threads than this do not read memory faster. */
constexpr size_t kMostThreads = 8;

struct Range {
  int type;
  size_t offset, columns, rows, matrices, row, endRow, column, endColumn, matrix, endMatrix, head;
};

/** Where the rows go; the parts that a type has not are null. */
struct Target {
  uint8_t* weight = nullptr;
  uint8_t* scales = nullptr;
  uint8_t* biases = nullptr;
  std::atomic<bool> overflow{false};
};

using UnpackRow = void (*)(const uint8_t* source, const Range&, size_t row, Target&);

void store(float value, uint8_t* to, Target& target) {
  const Half rounded(value);
  if (!std::isfinite(static_cast<float>(rounded))) target.overflow = true;
  std::memcpy(to, &rounded, sizeof rounded);
}

template <class Block>
void affineRow(const uint8_t* source, const Range& range, size_t row, Target& target) {
  constexpr size_t groups = Block::values / kGroup;
  const size_t first = range.column / kGroup, end = range.endColumn / kGroup;
  size_t to = row * (end - first);
  Group unpacked[groups];
  for (size_t block = first / groups; block * groups < end; block++) {
    Block::groups(source + block * Block::bytes, unpacked);
    for (size_t g = 0; g < groups; g++) {
      const size_t at = block * groups + g;
      if (at < first || at >= end) continue;
      pack<Block::bits>(unpacked[g].q, target.weight + to * 4 * Block::bits);
      store(unpacked[g].scale, target.scales + to * 2, target);
      store(unpacked[g].bias, target.biases + to * 2, target);
      to++;
    }
  }
}

/** MXFP4 means the same in both worlds (https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf); only the nibbles change places. */
struct MXFP4 {
  static constexpr int values = 32, bytes = 17, bits = 4;
};

void mxfp4Row(const uint8_t* source, const Range& range, size_t row, Target& target) {
  const size_t first = range.column / kGroup, end = range.endColumn / kGroup;
  size_t to = row * (end - first);
  for (size_t block = first; block < end; block++, to++) {
    alignas(8) uint8_t q[32];
    nibbles(source + block * MXFP4::bytes + 1, q);
    pack<4>(q, target.weight + to * 16);
    target.scales[to] = source[block * MXFP4::bytes];
  }
}

template <int Bytes>
struct Element {
  static constexpr int values = 1, bytes = Bytes, bits = 0;
};

template <int Bytes>
void elementRow(const uint8_t* source, const Range& range, size_t row, Target& target) {
  const size_t bytes = (range.endColumn - range.column) * Bytes;
  std::memcpy(target.weight + row * bytes, source + range.column * Bytes, bytes);
}

struct Type {
  int id;
  const char* name;
  int values, bytes, bits;
  bool biases;
  UnpackRow unpack;
  mx::Dtype element;
  /** Biases are -2^(bits - 1) times the scales, which float16 holds exactly where it holds them at all. */
  bool centred = false;
};

template <class Block>
constexpr Type affine(int id, const char* name) {
  constexpr bool centred = requires { Block::centred; };
  return {id, name, Block::values, Block::bytes, Block::bits, true, affineRow<Block>, mx::uint32, centred};
}
template <int Bytes>
Type element(int id, const char* name, mx::Dtype dtype) {
  return {id, name, 1, Bytes, 0, false, elementRow<Bytes>, dtype};
}

const Type& typeOf(int id) {
  static const Type types[] = {
      element<4>(0, "F32", mx::float32),
      element<2>(1, "F16", mx::float16),
      element<2>(30, "BF16", mx::bfloat16),
      affine<Q4_0>(2, "Q4_0"),
      affine<Q4_1>(3, "Q4_1"),
      affine<Q5_0>(6, "Q5_0"),
      affine<Q5_1>(7, "Q5_1"),
      affine<Q8_0>(8, "Q8_0"),
      affine<Q2_K>(10, "Q2_K"),
      affine<Q3_K>(11, "Q3_K"),
      affine<Q4_K>(12, "Q4_K"),
      affine<Q5_K>(13, "Q5_K"),
      affine<Q6_K>(14, "Q6_K"),
      affine<Q8_K>(15, "Q8_K"),
      affine<IQ2_XXS>(16, "IQ2_XXS"),
      affine<IQ2_XS>(17, "IQ2_XS"),
      affine<IQ3_XXS>(18, "IQ3_XXS"),
      affine<IQ1_S>(19, "IQ1_S"),
      affine<IQ4_NL>(20, "IQ4_NL"),
      affine<IQ3_S>(21, "IQ3_S"),
      affine<IQ2_S>(22, "IQ2_S"),
      affine<IQ4_XS>(23, "IQ4_XS"),
      affine<IQ1_M>(29, "IQ1_M"),
      affine<TQ1_0>(34, "TQ1_0"),
      affine<TQ2_0>(35, "TQ2_0"),
      {39, "MXFP4", MXFP4::values, MXFP4::bytes, MXFP4::bits, false, mxfp4Row, mx::uint32},
  };
  for (const auto& type : types) {
    if (type.id == id) return type;
  }
  throw std::invalid_argument("ggml type " + std::to_string(id) + " cannot be unpacked");
}

Range rangeOf(const int64_t* words) {
  for (int i = 0; i < 12; i++) {
    if (words[i] < 0) throw std::invalid_argument("a range has a negative number");
  }
  auto at = [words](int i) { return static_cast<size_t>(words[i]); };
  return {static_cast<int>(words[0]), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8), at(9), at(10), at(11)};
}

void check(const Range& r, const Type& type, const File& file) {
  auto within = [](size_t start, size_t end, size_t size) { return start < end && end <= size; };
  bool good = r.columns > 0 && r.columns % type.values == 0 && within(r.row, r.endRow, r.rows) &&
      within(r.column, r.endColumn, r.columns) && within(r.matrix, r.endMatrix, r.matrices);
  if (good && type.bits > 0) good = r.column % kGroup == 0 && r.endColumn % kGroup == 0;
  if (good && r.head > 0) good = r.head % 2 == 0 && r.row % r.head == 0 && r.endRow % r.head == 0;
  if (!good) throw std::invalid_argument(std::string("the part asked for does not fit a tensor of type ") + type.name);
  constexpr size_t most = std::numeric_limits<int32_t>::max();
  if (r.columns > most || r.rows > most || r.matrices > most) throw std::invalid_argument("a tensor has more rows than MLX can count");
  const size_t rowBytes = r.columns / type.values * type.bytes;
  if (rowBytes > file.size() || r.rows > file.size() / rowBytes || r.matrices > file.size() / rowBytes / r.rows) {
    throw std::runtime_error("the file is smaller than the tensor");
  }
  file.check(r.offset, rowBytes * r.rows * r.matrices);
}

/** Rows of one thread: `start` and `end` count units, a unit being a head where rows are put back in order, else a row. */
void unpackUnits(const File& file, const Range& r, const Type& type, Target& target, size_t start, size_t end) {
  const size_t unit = r.head > 0 ? r.head : 1;
  const size_t rows = r.endRow - r.row, unitsPerMatrix = rows / unit;
  const size_t rowBytes = r.columns / type.values * type.bytes;
  const size_t batch = std::max<size_t>(1, kBatchBytes / (rowBytes * unit));
  std::vector<uint8_t> bytes(std::min(batch, end - start) * unit * rowBytes);
  while (start < end) {
    const size_t matrix = start / unitsPerMatrix, within = start % unitsPerMatrix;
    const size_t count = std::min({batch, end - start, unitsPerMatrix - within});
    const size_t sourceRow = (r.matrix + matrix) * r.rows + r.row + within * unit;
    file.read(bytes.data(), count * unit * rowBytes, r.offset + sourceRow * rowBytes);
    for (size_t i = 0; i < count * unit; i++) {
      const size_t in = i % unit;
      const size_t put = r.head > 0 ? i - in + in % 2 * (unit / 2) + in / 2 : i;
      type.unpack(bytes.data() + i * rowBytes, r, matrix * rows + within * unit + put, target);
    }
    start += count;
  }
}

void unpack(const File& file, const Range& r, const Type& type, Target& target) {
  const size_t unit = r.head > 0 ? r.head : 1;
  const size_t units = (r.endMatrix - r.matrix) * ((r.endRow - r.row) / unit);
  const size_t work = units * unit * (r.columns / type.values * type.bytes) / kBatchBytes + 1;
  const size_t cores = std::max(1u, std::thread::hardware_concurrency());
  const size_t threads = std::min({cores, kMostThreads, work, units});
  std::vector<std::exception_ptr> failures(threads);
  auto share = [&](size_t i) {
    try {
      unpackUnits(file, r, type, target, units * i / threads, units * (i + 1) / threads);
    } catch (...) {
      failures[i] = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  others.reserve(threads);
  try {
    for (size_t i = 1; i < threads; i++) others.emplace_back(share, i);
  } catch (const std::system_error&) {
    // This process may have no more threads: this one does their shares too.
  }
  share(0);
  for (size_t i = others.size() + 1; i < threads; i++) share(i);
  for (auto& other : others) other.join();
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

/** An array not yet filled; `bytes` receives where to write. */
mx::array empty(File& file, const Range& r, bool stacked, size_t columns, mx::Dtype dtype, uint8_t*& bytes) {
  const auto rows = static_cast<mx::ShapeElem>(r.endRow - r.row), last = static_cast<mx::ShapeElem>(columns);
  const auto matrices = static_cast<mx::ShapeElem>(r.endMatrix - r.matrix);
  if (!stacked && matrices != 1) throw std::invalid_argument("a stack of matrices is asked for as one");
  auto result = file.arena().empty(stacked ? mx::Shape{matrices, rows, last} : mx::Shape{rows, last}, dtype);
  bytes = result.data<uint8_t>();
  return result;
}

std::vector<mx::array> arrays(File& file, const Range& r, bool stacked) {
  const Type& type = typeOf(r.type);
  check(r, type, file);
  Target target;
  const size_t columns = r.endColumn - r.column;
  std::vector<mx::array> result;
  result.push_back(empty(file, r, stacked, type.bits > 0 ? columns / kGroup * type.bits : columns, type.element, target.weight));
  if (type.bits > 0) result.push_back(empty(file, r, stacked, columns / kGroup, type.biases ? mx::float16 : mx::uint8, target.scales));
  if (type.biases) result.push_back(empty(file, r, stacked, columns / kGroup, mx::float16, target.biases));
  unpack(file, r, type, target);
  if (type.centred) noteCentred(target.biases, target.scales, result[2].nbytes());
  if (target.overflow) throw std::runtime_error(std::string("a scale of this ") + type.name + " tensor is not a number that float16 can hold");
  return result;
}

} // namespace
} // namespace exo::ggml

extern "C" int exo_ggml_layout(int type, int64_t* layout) {
  return exo::guarded([&] {
    const auto& found = exo::ggml::typeOf(type);
    layout[0] = found.values;
    layout[1] = found.bytes;
    layout[2] = found.bits;
    layout[3] = found.biases ? 1 : 0;
  });
}

extern "C" int exo_ggml_array(mlx_vector_array* res, exo_file file, const int64_t* range, bool stacked) {
  return exo::guarded([&] {
    auto& open = *static_cast<exo::File*>(file.ctx);
    mlx_vector_array_set_(*res, exo::ggml::arrays(open, exo::ggml::rangeOf(range), stacked));
  });
}
