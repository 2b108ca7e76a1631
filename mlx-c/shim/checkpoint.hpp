// A file of weights, as the shim's C++ sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "mlx/array.h"
#include "mlx/c/error.h"

namespace exo {

/** Bytes of a file, by read or by map. Safe to use from several threads. */
class File : public std::enable_shared_from_this<File> {
 public:
  /** Throws std::runtime_error naming the file. */
  explicit File(const char* path);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  size_t size() const {
    return size_;
  }
  /** Fills `to`, or throws naming the file and the byte. */
  void read(void* to, size_t bytes, size_t offset) const;
  /** Throws unless the file reaches that far. */
  void check(size_t offset, size_t bytes) const;
  /** A row-major array over the file's own pages; null where this machine or the alignment does not allow it. */
  std::unique_ptr<mlx::core::array> mapped(size_t offset, mlx::core::Shape shape, mlx::core::Dtype dtype);

 private:
  std::byte* base();

  std::string path_;
  int descriptor_;
  size_t size_;
  std::mutex mutex_;
  std::byte* base_ = nullptr;
};

/** Runs `work`; what it throws becomes mlx-c's error and the status 1. */
template <class Work>
int guarded(const Work& work) {
  try {
    work();
    return 0;
  } catch (const std::exception& error) {
    mlx_error(error.what());
    return 1;
  }
}

} // namespace exo
