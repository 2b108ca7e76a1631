// Takes the place of mlx-c's private header of the same name, which every one of its files includes: the same
// functions, but each array handle made or freed is counted, so that a leak shows as a number.
#ifndef MLX_ARRAY_PRIVATE_H
#define MLX_ARRAY_PRIVATE_H

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include "mlx/c/array.h"
#include "mlx/mlx.h"

namespace exo {
/** Handles made and not yet freed, on all threads; defined in shim/memory.cpp. */
extern std::atomic<int64_t> live_arrays;

template <typename Value>
void* new_array(Value&& value) {
  void* made = new mlx::core::array(std::forward<Value>(value));
  live_arrays.fetch_add(1, std::memory_order_relaxed);
  return made;
}

template <typename Value>
mlx_array& set_array(mlx_array& handle, Value&& value) {
  if (handle.ctx) {
    *static_cast<mlx::core::array*>(handle.ctx) = std::forward<Value>(value);
  } else {
    handle.ctx = new_array(std::forward<Value>(value));
  }
  return handle;
}
} // namespace exo

inline mlx_array mlx_array_new_() {
  return mlx_array{nullptr};
}

inline mlx_array mlx_array_new_(const mlx::core::array& value) {
  return mlx_array{exo::new_array(value)};
}

inline mlx_array mlx_array_new_(mlx::core::array&& value) {
  return mlx_array{exo::new_array(std::move(value))};
}

inline mlx_array& mlx_array_set_(mlx_array& handle, const mlx::core::array& value) {
  return exo::set_array(handle, value);
}

inline mlx_array& mlx_array_set_(mlx_array& handle, mlx::core::array&& value) {
  return exo::set_array(handle, std::move(value));
}

inline mlx::core::array& mlx_array_get_(mlx_array handle) {
  if (!handle.ctx) {
    throw std::runtime_error("expected a non-empty mlx_array");
  }
  return *static_cast<mlx::core::array*>(handle.ctx);
}

inline void mlx_array_free_(mlx_array handle) {
  if (handle.ctx) {
    delete static_cast<mlx::core::array*>(handle.ctx);
    exo::live_arrays.fetch_sub(1, std::memory_order_relaxed);
  }
}

#endif
