#include "collectives.h"

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "guarded.hpp"
#include "mlx/distributed/distributed.h"

namespace {

using Clock = std::chrono::steady_clock;

/** Ends the process when its time has come; its thread begins with the first deadline and is never joined. */
class Watch {
 public:
  void set(int milliseconds, const char* why) {
    std::lock_guard<std::mutex> guard(mutex_);
    if (milliseconds <= 0) {
      until_.reset();
    } else {
      why_ = std::string(why) + "\n";
      until_ = Clock::now() + std::chrono::milliseconds(milliseconds);
      if (!runs_) std::thread([this] { run(); }).detach();
      runs_ = true;
    }
    // A deadline that only moves later is seen when the one before has come: nobody is woken for each sum of a token.
    if (until_ && (!waits_for_ || *until_ < *waits_for_)) changed_.notify_one();
  }

 private:
  [[noreturn]] void run() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      waits_for_ = until_;
      if (!until_) {
        changed_.wait(lock);
      } else if (Clock::now() >= *until_) {
        end();
      } else {
        changed_.wait_until(lock, *until_);
      }
    }
  }

  [[noreturn]] void end() {
    // Nothing is left to be done if nobody reads it.
    [[maybe_unused]] const auto written = write(STDERR_FILENO, why_.data(), why_.size());
    // Without destructors: they would wait for the very thread that hangs.
    std::_Exit(EXO_DEADLINE_STATUS);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Clock::time_point> until_;
  std::optional<Clock::time_point> waits_for_;
  std::string why_;
  bool runs_ = false;
};

/** Never destroyed: its thread outlives main. */
Watch& watch() {
  static auto* one = new Watch();
  return *one;
}

} // namespace

extern "C" int exo_set_variable(const char* name, const char* value) {
  return exo::guarded([&] {
    const int failed = *value ? setenv(name, value, 1) : unsetenv(name);
    if (failed) throw std::invalid_argument(std::string("[exo_set_variable] no variable can be called ") + name);
  });
}

extern "C" int exo_forget_groups(void) {
  return exo::guarded([] { mlx::core::distributed::clear_backends(); });
}

extern "C" int exo_deadline(int milliseconds, const char* why) {
  return exo::guarded([&] { watch().set(milliseconds, why); });
}
