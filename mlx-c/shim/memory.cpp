// Handles in bulk, their count, and reading results into memory of the caller.
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "exo.h"
#include "mlx/c/error.h"
#include "mlx/c/private/mlx.h"
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace exo {
std::atomic<int64_t> live_arrays{0};
}

extern "C" int exo_free_arrays(const mlx_array* arrays, size_t count) {
  try {
    for (size_t i = 0; i < count; i++) {
      mlx_array_free_(arrays[i]);
    }
    return 0;
  } catch (std::exception& e) {
    mlx_error(e.what());
    return 1;
  }
}

extern "C" int64_t exo_live_arrays(void) {
  return exo::live_arrays.load(std::memory_order_relaxed);
}

extern "C" int exo_trim_memory(void) {
#ifdef __GLIBC__
  return malloc_trim(0);
#else
  return 0;
#endif
}

extern "C" int exo_read(const mlx_array array, void* out, size_t bytes) {
  try {
    mlx::core::array value = mlx_array_get_(array);
    if (value.nbytes() != bytes) {
      throw std::invalid_argument(
          "[exo_read] the array takes " + std::to_string(value.nbytes()) + " bytes, the caller has room for " +
          std::to_string(bytes));
    }
    value.eval();
    if (!value.flags().row_contiguous) {
      value = mlx::core::contiguous(value);
      value.eval();
    }
    std::memcpy(out, value.data<char>(), bytes);
    return 0;
  } catch (std::exception& e) {
    mlx_error(e.what());
    return 1;
  }
}
