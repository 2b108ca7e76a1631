#include "arena.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include "centred.hpp"
#include "exo.h"
#include "guarded.hpp"
#include "mlx/c/private/mlx.h"
#include "mlx/device.h"

namespace mx = mlx::core;

namespace exo {
namespace {

/** The size of a large page on the processors that have them; where it is another, only their number changes. */
constexpr size_t kLargePage = size_t{1} << 21;
/** Of a block, the address space of which is taken at once: its last page may stay half empty, which is then little beside it. */
constexpr size_t kBlockBytes = size_t{1} << 28;
/** Weights of a smaller checkpoint would take more memory in large pages than without. */
constexpr size_t kLeastExpected = 4 * kLargePage;
/** Of an array that is gone before others of its block, smaller ones are not given back: it would cost more than they hold. */
constexpr size_t kLeastGivenBack = size_t{1} << 16;
/** Of the block that zeros share. Caches of one sequence are made and freed together, and so its pages. */
constexpr size_t kSharedBytes = size_t{1} << 25;
/** Smaller zeros are no caches, and would keep a block from being given back. */
constexpr size_t kLeastShared = size_t{1} << 16;
/** As wide as the widest register, and a line of the caches. */
constexpr size_t kAlignment = 64;

constexpr size_t roundedUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

size_t bytesOf(const mx::Shape& shape, mx::Dtype dtype) {
  size_t bytes = mx::size_of(dtype);
  for (auto n : shape) bytes *= static_cast<size_t>(n);
  return bytes;
}

/** Memory of MLX's own. */
mx::array plain(mx::Shape shape, mx::Dtype dtype, size_t bytes) {
  auto buffer = mx::allocator::malloc(bytes);
  // MLX does not look whether memory was to be had.
  if (buffer.ptr() == nullptr) throw std::runtime_error("no memory for " + std::to_string(bytes) + " bytes of weights");
  auto free = [](mx::allocator::Buffer gone) {
    forgetCentred(gone.raw_ptr());
    mx::allocator::free(gone);
  };
  return mx::array(buffer, std::move(shape), dtype, free);
}

void giveBack(std::byte* from, size_t bytes) {
  if (bytes < kLeastGivenBack) return;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<uintptr_t>(from);
  const size_t first = roundedUp(start, page), end = (start + bytes) / page * page;
  if (first < end) ::madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

} // namespace

/** Memory of the system, from the beginning of a large page on; taken from front to back. */
class Arena::Block {
 public:
  /** Null where the system has no such memory. `whole`: only as many large pages as it fills. */
  static std::shared_ptr<Block> make(size_t bytes, bool whole = false) {
    const size_t length = roundedUp(bytes, kLargePage), taken = length + kLargePage;
    const size_t large = whole ? bytes / kLargePage * kLargePage : length;
    void* space = ::mmap(nullptr, taken, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (space == MAP_FAILED) return nullptr;
    auto* start = static_cast<std::byte*>(space);
    const size_t before = roundedUp(reinterpret_cast<uintptr_t>(start), kLargePage) - reinterpret_cast<uintptr_t>(start);
    if (before > 0) ::munmap(start, before);
    if (before < kLargePage) ::munmap(start + before + length, kLargePage - before);
#ifdef MADV_HUGEPAGE
    ::madvise(start + before, large, MADV_HUGEPAGE);
#endif
    return std::shared_ptr<Block>(new Block(start + before, length));
  }

  ~Block() {
    ::munmap(start_, length_);
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  size_t left() const {
    return length_ - used_;
  }

  /** Null where so much is not left. MLX finds a buffer's size in the word before its first byte: that word comes first. */
  std::byte* take(size_t bytes) {
    const size_t at = roundedUp(used_ + sizeof(size_t), kAlignment);
    if (at > length_ || bytes > length_ - at) return nullptr;
    used_ = at + bytes;
    *reinterpret_cast<size_t*>(start_ + at - sizeof(size_t)) = bytes;
    return start_ + at;
  }

 private:
  Block(std::byte* start, size_t length) : start_(start), length_(length) {}

  std::byte* start_;
  size_t length_;
  size_t used_ = 0;
};

mx::array Arena::empty(mx::Shape shape, mx::Dtype dtype) {
  const size_t bytes = bytesOf(shape, dtype);
  // Where there is a GPU, MLX's buffers are no mere addresses.
  if (bytes == 0 || expected_ < kLeastExpected || mx::is_available(mx::Device(mx::Device::gpu)))
    return plain(std::move(shape), dtype, bytes);
  std::lock_guard<std::mutex> guard(mutex_);
  auto block = blockFor(bytes);
  std::byte* data = block ? block->take(bytes) : nullptr;
  if (!data) return plain(std::move(shape), dtype, bytes);
  auto free = [block, data, bytes](mx::allocator::Buffer) {
    forgetCentred(data);
    giveBack(data, bytes);
  };
  return mx::array(mx::allocator::Buffer(data - sizeof(size_t)), std::move(shape), dtype, free);
}

std::shared_ptr<Arena::Block> Arena::blockFor(size_t bytes) {
  const size_t wanted = bytes + kAlignment;
  // An array as large as a block has one of its own, and the open one stays so.
  if (wanted >= kBlockBytes) return Block::make(wanted);
  if (!open_ || open_->left() < wanted) open_ = Block::make(std::max(wanted, std::min(expected_, kBlockBytes)));
  return open_;
}

mx::array Arena::zeros(mx::Shape shape, mx::Dtype dtype) {
  const size_t bytes = bytesOf(shape, dtype);
  // Memory that the system gives is zero, and none of a block is taken twice.
  if (bytes >= kLeastShared && !mx::is_available(mx::Device(mx::Device::gpu))) {
    static Arena caches(kSharedBytes);
    std::lock_guard<std::mutex> guard(caches.mutex_);
    auto block = bytes < kSharedBytes ? caches.blockFor(bytes) : Block::make(bytes + kAlignment, true);
    if (std::byte* data = block ? block->take(bytes) : nullptr) {
      auto free = [block, data, bytes](mx::allocator::Buffer) { giveBack(data, bytes); };
      return mx::array(mx::allocator::Buffer(data - sizeof(size_t)), std::move(shape), dtype, free);
    }
  }
  mx::array made = plain(std::move(shape), dtype, bytes);
  if (bytes > 0) std::memset(made.data<char>(), 0, bytes);
  return made;
}

void moveToLargePages([[maybe_unused]] const void* from, [[maybe_unused]] size_t bytes) {
#ifdef MADV_HUGEPAGE
  const size_t first = roundedUp(reinterpret_cast<uintptr_t>(from), kLargePage);
  const size_t end = (reinterpret_cast<uintptr_t>(from) + bytes) / kLargePage * kLargePage;
  if (first >= end || ::madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE) != 0) return;
  // MADV_COLLAPSE, of Linux 6.1: at once. Without it the system does so at its leisure.
  constexpr int kCollapse = 25;
  ::madvise(reinterpret_cast<void*>(first), end - first, kCollapse);
#endif
}

} // namespace exo

extern "C" int exo_zeros(mlx_array* res, const int* shape, size_t shape_num, mlx_dtype dtype) {
  return exo::guarded([&] { mlx_array_set_(*res, exo::Arena::zeros(mx::Shape(shape, shape + shape_num), mlx_dtype_to_cpp(dtype))); });
}
