// Memory between two pages that may not be touched: who reads or writes one byte too far is stopped there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "mlx/c/array.h"

class GuardedMemory {
 public:
  /** `atEnd`: the last byte is followed by such a page; else the first one is preceded by it. */
  GuardedMemory(size_t bytes, bool atEnd);
  ~GuardedMemory();
  GuardedMemory(const GuardedMemory&) = delete;

  uint8_t* data() const {
    return data_;
  }
  size_t size() const {
    return bytes_;
  }

  /** A row-major array that lies in this memory and holds it from now on. */
  mlx_array array(const std::vector<int>& shape, mlx_dtype type) &&;

 private:
  uint8_t* map_;
  size_t length_, bytes_;
  uint8_t* data_;
};
