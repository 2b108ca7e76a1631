#include "checkpoint.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "checkpoint.hpp"
#include "mlx/allocator.h"
#include "mlx/c/private/mlx.h"
#include "mlx/device.h"

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

namespace mx = mlx::core;

namespace exo {
namespace {

std::runtime_error failure(const std::string& path, const std::string& what) {
  return std::runtime_error(path + ": " + what + ": " + std::strerror(errno));
}

size_t pageBytes() {
  static const size_t bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

/** Smaller tensors are read: a page for each would cost more than the copy. */
constexpr size_t kLeastMapped = size_t{1} << 16;

/** MLX's CPU allocator finds a buffer's size in the word before its first byte; this is that word alone. */
struct Header {
  size_t size;
  size_t data;
};

/** Larger than any array: most operations then do not take a mapped input's memory for their output. */
constexpr size_t kNeverDonated = size_t{1} << 62;

mx::Strides rowMajor(const mx::Shape& shape) {
  mx::Strides strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

/** `offset` bytes lie between the buffer's first byte and the array's. */
mx::array over(mx::allocator::Buffer buffer, int64_t offset, mx::Shape shape, mx::Dtype dtype, mx::Deleter free) {
  mx::array result(std::move(shape), dtype, nullptr, {});
  auto strides = rowMajor(result.shape());
  bool column = result.size() <= 1 || result.ndim() <= 1;
  result.set_data(buffer, result.size(), std::move(strides), {true, true, column}, offset, std::move(free));
  result.set_status(mx::array::Status::available);
  return result;
}

} // namespace

File::File(const char* path) : path_(path), descriptor_(::open(path, O_RDONLY | O_CLOEXEC)) {
  if (descriptor_ < 0) throw failure(path_, "cannot be opened");
  struct stat facts;
  if (::fstat(descriptor_, &facts) != 0) {
    auto error = failure(path_, "cannot be read");
    ::close(descriptor_);
    throw error;
  }
  size_ = static_cast<size_t>(facts.st_size);
  arena_ = std::make_unique<Arena>(size_);
}

File::~File() {
  ::close(descriptor_);
}

void File::check(size_t offset, size_t bytes) const {
  if (offset > size_ || bytes > size_ - offset) {
    throw std::runtime_error(
        path_ + ": bytes " + std::to_string(offset) + " to " + std::to_string(offset + bytes) +
        " are asked for, but the file ends at " + std::to_string(size_));
  }
}

void File::read(void* to, size_t bytes, size_t offset) const {
  auto* target = static_cast<std::byte*>(to);
  while (bytes > 0) {
    auto got = ::pread(descriptor_, target, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw failure(path_, "cannot be read at byte " + std::to_string(offset));
    if (got == 0) throw std::runtime_error(path_ + ": ends at byte " + std::to_string(offset) + ", in the middle of a tensor");
    target += got;
    bytes -= static_cast<size_t>(got);
    offset += static_cast<size_t>(got);
  }
}

std::unique_ptr<mx::array> File::mapped(size_t offset, mx::Shape shape, mx::Dtype dtype) const {
  size_t bytes = mx::size_of(dtype);
  for (auto n : shape) bytes *= static_cast<size_t>(n);
  if (bytes < kLeastMapped || offset % mx::size_of(dtype) != 0) return nullptr;
  const size_t within = offset % pageBytes();
  const size_t length = (within + bytes + pageBytes() - 1) / pageBytes() * pageBytes();
  // A map of its own, private and writable: MLX may write a result over a weight that nobody needs any more, and then
  // copies of the touched pages are changed, not the file and not another array of the same bytes.
  void* page = ::mmap(
      nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor_, static_cast<off_t>(offset - within));
  if (page == MAP_FAILED) return nullptr;
  ::madvise(page, length, MADV_WILLNEED);

  if (auto buffer = mx::allocator::make_buffer(page, length); buffer.ptr() != nullptr) {
    auto free = [page, length](mx::allocator::Buffer b) {
      mx::allocator::release(b);
      ::munmap(page, length);
    };
    return std::make_unique<mx::array>(over(buffer, static_cast<int64_t>(within), std::move(shape), dtype, free));
  }
  if (mx::is_available(mx::Device(mx::Device::gpu))) {
    ::munmap(page, length);
    return nullptr;
  }
  auto* header = new Header{kNeverDonated, 0};
  auto distance = reinterpret_cast<intptr_t>(page) + static_cast<intptr_t>(within) - reinterpret_cast<intptr_t>(&header->data);
  auto free = [page, length](mx::allocator::Buffer b) {
    delete static_cast<Header*>(b.ptr());
    ::munmap(page, length);
  };
  return std::make_unique<mx::array>(over(mx::allocator::Buffer(header), distance, std::move(shape), dtype, free));
}

namespace {

struct Span {
  File* file;
  size_t offset, bytes, count, stride;

  size_t total() const {
    return bytes * count;
  }
};

std::vector<Span> spansOf(const exo_file* files, size_t files_num, const int64_t* words, size_t count) {
  std::vector<Span> spans;
  for (size_t i = 0; i < count; i++, words += 5) {
    for (int k = 0; k < 5; k++) {
      if (words[k] < 0) throw std::invalid_argument("a span has a negative number");
    }
    if (static_cast<size_t>(words[0]) >= files_num) throw std::invalid_argument("a span names no file");
    auto* file = static_cast<File*>(files[words[0]].ctx);
    Span span{file, size_t(words[1]), size_t(words[2]), size_t(words[3]), size_t(words[4])};
    if (span.count > 1 && (span.stride < span.bytes || span.stride == 0 || span.count - 1 > file->size() / span.stride)) {
      throw std::invalid_argument("a span's pieces overlap or reach beyond the file");
    }
    if (span.count > 0) {
      file->check(span.offset, span.bytes);
      file->check(span.offset, (span.count - 1) * span.stride + span.bytes);
    }
    spans.push_back(span);
  }
  return spans;
}

mx::array gathered(const std::vector<Span>& spans, mx::Shape shape, mx::Dtype dtype) {
  auto result = spans.empty() ? mx::zeros(std::move(shape), dtype) : spans[0].file->arena().empty(std::move(shape), dtype);
  auto* to = result.data<std::byte>();
  for (const auto& span : spans) {
    for (size_t piece = 0; piece < span.count; piece++, to += span.bytes) {
      span.file->read(to, span.bytes, span.offset + piece * span.stride);
    }
  }
  return result;
}

} // namespace
} // namespace exo

extern "C" int exo_file_open(exo_file* res, const char* path) {
  return exo::guarded([&] { res->ctx = new exo::File(path); });
}

extern "C" int exo_file_free(exo_file file) {
  delete static_cast<exo::File*>(file.ctx);
  return 0;
}

extern "C" int exo_file_array(
    mlx_array* res,
    const exo_file* files,
    size_t files_num,
    const int64_t* spans,
    size_t spans_num,
    const int* shape,
    size_t shape_num,
    mlx_dtype dtype) {
  return exo::guarded([&] {
    auto parts = exo::spansOf(files, files_num, spans, spans_num);
    mx::Shape dims(shape, shape + shape_num);
    auto type = mlx_dtype_to_cpp(dtype);
    size_t wanted = mx::size_of(type);
    for (auto n : dims) {
      if (n < 0) throw std::invalid_argument("a shape has a negative number");
      wanted *= static_cast<size_t>(n);
    }
    size_t found = 0;
    for (const auto& part : parts) found += part.total();
    if (found != wanted) throw std::invalid_argument("the spans hold " + std::to_string(found) + " bytes, the shape " + std::to_string(wanted));
    if (parts.size() == 1 && parts[0].count == 1) {
      if (auto mapped = parts[0].file->mapped(parts[0].offset, dims, type)) {
        mlx_array_set_(*res, std::move(*mapped));
        return;
      }
    }
    mlx_array_set_(*res, exo::gathered(parts, std::move(dims), type));
  });
}
