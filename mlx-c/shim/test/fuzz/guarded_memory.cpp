#include "guarded_memory.hpp"

#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

#include "mlx/allocator.h"
#include "mlx/array.h"

namespace mx = mlx::core;

namespace {

/** MLX's CPU allocator finds a buffer's size in the word before its first byte; this is that word, kept apart from the bytes. */
struct Header {
  size_t size;
  size_t data;
};

/** Larger than any array, so that no operation takes the memory for its result. */
constexpr size_t kNeverDonated = size_t{1} << 62;

mx::Dtype typeOf(mlx_dtype type) {
  switch (type) {
    case MLX_BOOL: return mx::bool_;
    case MLX_UINT8: return mx::uint8;
    case MLX_INT32: return mx::int32;
    case MLX_INT64: return mx::int64;
    case MLX_UINT32: return mx::uint32;
    case MLX_FLOAT16: return mx::float16;
    case MLX_BFLOAT16: return mx::bfloat16;
    case MLX_FLOAT32: return mx::float32;
    default: throw std::invalid_argument("the fuzz makes no arrays of this type");
  }
}

} // namespace

GuardedMemory::GuardedMemory(size_t bytes, bool atEnd) : bytes_(bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), inner = (bytes + page) / page * page;
  length_ = inner + 2 * page;
  void* map = mmap(nullptr, length_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) throw std::runtime_error("no memory for a case");
  map_ = static_cast<uint8_t*>(map);
  if (mprotect(map_ + page, inner, PROT_READ | PROT_WRITE) != 0) throw std::runtime_error("memory of a case cannot be opened");
  data_ = map_ + page + (atEnd ? inner - bytes : 0);
}

GuardedMemory::~GuardedMemory() {
  if (map_) munmap(map_, length_);
}

mlx_array GuardedMemory::array(const std::vector<int>& shape, mlx_dtype type) && {
  mx::array made(mx::Shape(shape.begin(), shape.end()), typeOf(type), nullptr, {});
  mx::Strides strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * shape[axis];
  auto* header = new Header{kNeverDonated, 0};
  auto distance = reinterpret_cast<intptr_t>(data_) - reinterpret_cast<intptr_t>(&header->data);
  auto free = [map = map_, length = length_](mx::allocator::Buffer buffer) {
    delete static_cast<Header*>(buffer.ptr());
    munmap(map, length);
  };
  bool column = made.size() <= 1 || made.ndim() <= 1;
  made.set_data(mx::allocator::Buffer(header), made.size(), std::move(strides), {true, true, column}, distance, std::move(free));
  made.set_status(mx::array::Status::available);
  map_ = nullptr;
  return mlx_array{new mx::array(std::move(made))};
}
