// A file of weights, as the shim's C++ sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "arena.hpp"
#include "guarded.hpp"
#include "mlx/array.h"

namespace exo {

/** Bytes of a file, by read or by map. Safe to use from several threads. */
class File {
 public:
  /** Throws std::runtime_error naming the file. */
  explicit File(const char* path);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  size_t size() const {
    return size_;
  }
  /** Where weights that are read from here go; they may stay longer than the file is open. */
  Arena& arena() {
    return *arena_;
  }
  /** Fills `to`, or throws naming the file and the byte. */
  void read(void* to, size_t bytes, size_t offset) const;
  /** Throws unless the file reaches that far. */
  void check(size_t offset, size_t bytes) const;
  /** A row-major array over the file's own pages; null where this machine, the size or the alignment does not allow it. */
  std::unique_ptr<mlx::core::array> mapped(size_t offset, mlx::core::Shape shape, mlx::core::Dtype dtype) const;

 private:
  std::string path_;
  int descriptor_;
  size_t size_;
  std::unique_ptr<Arena> arena_;
};

} // namespace exo
