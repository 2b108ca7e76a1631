// Times operations, where exo_profile asks for it.
#pragma once

#include <chrono>
#include <cstddef>

namespace exo {

bool profiling();

/** Counts the time between its making and its end for the operation `name` with a result [rows, columns]. */
class Timed {
 public:
  Timed(const char* name, size_t rows, size_t columns);
  ~Timed();
  Timed(const Timed&) = delete;

 private:
  const char* name_;
  size_t rows_, columns_;
  std::chrono::steady_clock::time_point start_;
};

} // namespace exo
