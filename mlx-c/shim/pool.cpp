#include "pool.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "processors.hpp"
#include "settings.hpp"

namespace exo {
namespace {

/** How often a worker looks for the next job before it sleeps: about the time between two products of a decode step. */
constexpr int kLooks = 4000;
/** How often the caller looks for the others' last pieces before it lets the system run them: they may wait for its processor. */
constexpr int kPatience = 2000;
/** Pieces of a job per thread: whoever is late, or is given less of a processor, takes fewer of them. */
constexpr size_t kPieces = 16;

/** A wrong setting is told by exo_kernel_problem(). */
int wantedThreads() {
  try {
    int told = threadsTold(std::getenv("EXO_THREADS"));
    return told > 0 ? told : threadsHere();
  } catch (const SettingError&) {
    return threadsHere();
  }
}

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/**
 * One job at a time, cut into pieces that the caller and awake workers take. `ticket_` holds the job's number in its upper half
 * and the pieces not yet taken in the lower: who takes one by exchanging it knows that the job it belongs to is not over.
 */
class Pool {
 public:
  Pool() : threads_(wantedThreads()) {
    for (int i = 1; i < threads_; ++i) std::thread([this] { serve(); }).detach();
  }

  int threads() const {
    return threads_;
  }

  void run(size_t count, size_t grain, const std::function<void(size_t, size_t)>& work) {
    size_t blocks = (count + grain - 1) / grain;
    if (threads_ == 1 || blocks < 2) return work(0, count);
    std::lock_guard<std::mutex> one(callers_);
    size_t pieces = std::min(blocks, kPieces * threads_);
    job_ = {count, grain, blocks, pieces, &work};
    done_.store(0, std::memory_order_relaxed);
    ticket_.store(((ticket_.load() >> 32) + 1) << 32 | pieces);
    if (asleep_.load() > 0) {
      std::lock_guard<std::mutex> guard(mutex_);
      wake_.notify_all();
    }
    while (takePiece()) {
    }
    for (int look = 0; done_.load(std::memory_order_acquire) < pieces; ++look) {
      if (look < kPatience) pause();
      else std::this_thread::yield();
    }
  }

 private:
  struct Job {
    size_t count, grain, blocks, pieces;
    const std::function<void(size_t, size_t)>* work;
  };

  static bool hasPieces(uint64_t ticket) {
    return (ticket & 0xffffffff) != 0;
  }

  bool takePiece() {
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    do {
      if (!hasPieces(ticket)) return false;
    } while (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel));
    size_t piece = job_.pieces - (ticket & 0xffffffff);
    size_t first = job_.blocks * piece / job_.pieces * job_.grain;
    size_t last = std::min(job_.blocks * (piece + 1) / job_.pieces * job_.grain, job_.count);
    (*job_.work)(first, last);
    done_.fetch_add(1, std::memory_order_release);
    return true;
  }

  void serve() {
    for (;;) {
      if (takePiece() || looked()) continue;
      std::unique_lock<std::mutex> lock(mutex_);
      asleep_.fetch_add(1);
      wake_.wait(lock, [&] { return hasPieces(ticket_.load()); });
      asleep_.fetch_sub(1);
    }
  }

  /** Whether there was work within the time that is worth staying awake for. */
  bool looked() const {
    for (int look = 0; look < kLooks; ++look) {
      if (hasPieces(ticket_.load(std::memory_order_acquire))) return true;
      pause();
    }
    return false;
  }

  const int threads_;
  std::mutex callers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<int> asleep_{0};
  std::atomic<uint64_t> ticket_{0};
  std::atomic<size_t> done_{0};
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
  if (count <= grain) return work(0, count);
  pool().run(count, grain, work);
}

} // namespace exo
