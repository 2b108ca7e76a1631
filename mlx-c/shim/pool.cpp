#include "pool.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

namespace exo {
namespace {

/** More than any machine this runs on has cores; a mistyped EXO_THREADS must not start thousands. */
constexpr int kThreadsMax = 256;
/** How often a worker looks for the next job before it sleeps: about the time between two products of a decode step. */
constexpr int kLooks = 4000;

int wantedThreads() {
  const char* told = std::getenv("EXO_THREADS");
  int wanted = told ? std::atoi(told) : 0;
  if (wanted < 1) wanted = static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(wanted, 1, kThreadsMax);
}

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/** One job at a time: part 0 is the caller's, part i the i-th worker's. */
class Pool {
 public:
  Pool() : threads_(wantedThreads()) {
    for (int part = 1; part < threads_; ++part) std::thread([this, part] { serve(part); }).detach();
  }

  int threads() const {
    return threads_;
  }

  void run(size_t count, size_t grain, const std::function<void(size_t, size_t)>& work) {
    size_t blocks = (count + grain - 1) / grain;
    if (threads_ == 1 || blocks < 2) return work(0, count);
    std::lock_guard<std::mutex> one(callers_);
    {
      std::lock_guard<std::mutex> guard(mutex_);
      job_ = {count, grain, blocks, &work};
      pending_.store(threads_ - 1, std::memory_order_relaxed);
      turn_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    share(0);
    while (pending_.load(std::memory_order_acquire) > 0) pause();
  }

 private:
  struct Job {
    size_t count, grain, blocks;
    const std::function<void(size_t, size_t)>* work;
  };

  void share(int part) {
    size_t first = job_.blocks * part / threads_ * job_.grain;
    size_t last = std::min(job_.blocks * (part + 1) / threads_ * job_.grain, job_.count);
    if (first < last) (*job_.work)(first, last);
  }

  void serve(int part) {
    for (uint64_t seen = 0;;) {
      uint64_t turn = next(seen);
      seen = turn;
      share(part);
      pending_.fetch_sub(1, std::memory_order_release);
    }
  }

  uint64_t next(uint64_t seen) {
    for (int look = 0; look < kLooks; ++look) {
      uint64_t turn = turn_.load(std::memory_order_acquire);
      if (turn != seen) return turn;
      pause();
    }
    std::unique_lock<std::mutex> lock(mutex_);
    wake_.wait(lock, [&] { return turn_.load(std::memory_order_acquire) != seen; });
    return turn_.load(std::memory_order_acquire);
  }

  const int threads_;
  std::mutex callers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> turn_{0};
  std::atomic<int> pending_{0};
  Job job_{};
};

/** Never destroyed: its threads may still sleep in it while the process ends. */
Pool& pool() {
  static Pool* made = new Pool();
  return *made;
}

} // namespace

int poolThreads() {
  return pool().threads();
}

void parallel(size_t count, size_t grain, const std::function<void(size_t, size_t)>& work) {
  pool().run(count, grain, work);
}

} // namespace exo
