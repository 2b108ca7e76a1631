#include "centred.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <shared_mutex>

namespace exo {
namespace {

struct Noted {
  uintptr_t scales;
  size_t bytes;
};

struct Notes {
  std::shared_mutex mutex;
  /** By where biases begin. */
  std::map<uintptr_t, Noted> of;
};

/** Never destroyed: arrays may be freed while the process ends. */
Notes& notes() {
  static Notes* made = new Notes();
  return *made;
}

uintptr_t addressOf(const void* at) {
  return reinterpret_cast<uintptr_t>(at);
}

} // namespace

void noteCentred(const void* biases, const void* scales, size_t bytes) {
  std::lock_guard<std::shared_mutex> guard(notes().mutex);
  notes().of[addressOf(biases)] = {addressOf(scales), bytes};
}

void forgetCentred(const void* from) {
  std::lock_guard<std::shared_mutex> guard(notes().mutex);
  std::erase_if(notes().of, [at = addressOf(from)](const auto& each) { return each.first == at || each.second.scales == at; });
}

bool areCentred(const void* biases, const void* scales) {
  std::shared_lock<std::shared_mutex> guard(notes().mutex);
  auto after = notes().of.upper_bound(addressOf(biases));
  if (after == notes().of.begin()) return false;
  const auto& [begin, noted] = *--after;
  size_t offset = addressOf(biases) - begin;
  return offset < noted.bytes && addressOf(scales) - noted.scales == offset;
}

} // namespace exo
