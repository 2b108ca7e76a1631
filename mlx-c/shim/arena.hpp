// Memory in large pages: for the weights of a checkpoint, and for caches.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

#include "mlx/allocator.h"
#include "mlx/array.h"

namespace exo {

/**
 * Rooms for arrays side by side in a few large blocks, so that small arrays and the ends of large ones lie in large pages too: a
 * decode step reads all weights once, and in small pages it waits for the look-up of each. A block is given back when no array
 * lies in it and nothing more is put there, the pages of a large array as soon as that is gone. Safe to use from several threads.
 */
class Arena {
 public:
  /** For about so many bytes; more may be asked for. */
  explicit Arena(size_t bytes) : expected_(bytes) {}

  /** An array not yet filled, row-major, aligned to 64 bytes, forgotten (forgetCentred) when it is freed; throws where there is no memory. */
  mlx::core::array empty(mlx::core::Shape shape, mlx::core::Dtype dtype);

  /** exo_zeros; throws where there is no memory. */
  static mlx::core::array zeros(mlx::core::Shape shape, mlx::core::Dtype dtype);

 private:
  class Block;

  std::shared_ptr<Block> blockFor(size_t bytes);

  const size_t expected_;
  std::mutex mutex_;
  /** Where the next arrays go. */
  std::shared_ptr<Block> open_;
};

/** Moves memory that is there already into large pages, where the system has them and as many as it fills whole. Slow only once. */
void moveToLargePages(const void* from, size_t bytes);

} // namespace exo
