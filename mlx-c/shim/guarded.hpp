// The door between C and C++: nothing may be thrown through it.
#pragma once

#include <exception>

#include "mlx/c/error.h"

namespace exo {

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
