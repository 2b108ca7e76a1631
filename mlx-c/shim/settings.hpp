// What the environment says about the kernels, checked. Knows nothing of MLX.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

namespace exo {

/** A setting that cannot be used. Its text: what is wrong and why, a line break, what to do. */
struct SettingError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

/** EXO_THREADS, of which `told` is the text: 0 where nothing is said. Throws SettingError. */
int threadsTold(const char* told);

/** A set of kernels that this library has, and whether this processor can run it. */
struct SetOffered {
  std::string name;
  bool usable;
};

/**
 * EXO_CPU_KERNELS: the index of the set that `told` names, of the best usable one where nothing is said. `offered` is sorted,
 * best first; the last one runs everywhere and is also called "portable". Throws SettingError.
 */
size_t setTold(const char* told, const std::vector<SetOffered>& offered);

} // namespace exo
