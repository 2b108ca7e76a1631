#include "profile.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "profile.h"

namespace exo {
namespace {

using Clock = std::chrono::steady_clock;

struct Counted {
  uint64_t count = 0, nanoseconds = 0, waited = 0;
};

std::atomic<bool> counts{false};
std::mutex guard;
std::map<std::string, Counted> counted;
/** When the last operation of any stream ended: benches run one stream. */
Clock::time_point ended;

uint64_t between(Clock::time_point from, Clock::time_point to) {
  return to < from ? 0 : static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count());
}

} // namespace

bool profiling() {
  return counts.load(std::memory_order_relaxed);
}

Timed::Timed(const char* name, size_t rows, size_t columns) : name_(name), rows_(rows), columns_(columns) {
  if (profiling()) start_ = Clock::now();
  else name_ = nullptr;
}

Timed::~Timed() {
  if (!name_) return;
  Clock::time_point now = Clock::now();
  std::string key = std::string(name_) + " " + std::to_string(rows_) + "x" + std::to_string(columns_);
  std::lock_guard<std::mutex> one(guard);
  Counted& here = counted[key];
  here.count++;
  here.nanoseconds += between(start_, now);
  here.waited += between(ended, start_);
  ended = Clock::now();
}

} // namespace exo

extern "C" void exo_profile(bool on) {
  std::lock_guard<std::mutex> one(exo::guard);
  if (on) {
    exo::counted.clear();
    exo::ended = exo::Clock::now();
  }
  exo::counts.store(on);
}

extern "C" const char* exo_profile_report(void) {
  static std::string text;
  std::lock_guard<std::mutex> one(exo::guard);
  text.clear();
  for (const auto& [name, of] : exo::counted)
    text += name + " " + std::to_string(of.count) + " " + std::to_string(of.nanoseconds) + " " + std::to_string(of.waited) + "\n";
  return text.c_str();
}
