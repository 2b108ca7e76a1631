#include "pool.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "processors.hpp"
#include "settings.hpp"
#include "shares.hpp"

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

/** A thread of the pool that sleeps while there is nothing for it to do. */
class Helper {
 public:
  template <class Wanted>
  void sleep(const Wanted& wanted) {
    std::unique_lock<std::mutex> lock(mutex_);
    asleep_.store(true);
    wake_.wait(lock, wanted);
    asleep_.store(false);
  }

  void wake() {
    if (!asleep_.load()) return;
    std::lock_guard<std::mutex> guard(mutex_);
    wake_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> asleep_{false};
};

/**
 * One job at a time, cut into pieces that the caller and awake helpers take. `ticket_` holds the job's number in its upper half
 * and the pieces not yet taken in the lower: who takes one by exchanging it knows that the job it belongs to is not over.
 * While other processes compute as well, fewer helpers take part; the pieces, and with them the results, stay the same.
 */
class Pool {
 public:
  Pool() : threads_(wantedThreads()), shares_(sharesPath()), helpers_(threads_ - 1) {
    for (int i = 0; i + 1 < threads_; ++i) std::thread([this, i] { serve(i); }).detach();
  }

  int threads() const {
    return threads_;
  }

  void run(size_t count, size_t grain, const std::function<void(size_t, size_t)>& work) {
    size_t blocks = (count + grain - 1) / grain;
    if (blocks < 2) return work(0, count);
    std::lock_guard<std::mutex> one(callers_);
    int helpers = begin() - 1;
    if (threads_ == 1) work(0, count);
    else share({count, grain, blocks, std::min(blocks, kPieces * threads_), &work}, helpers);
    if (!shares_.alone()) shares_.end(sharedNow());
  }

 private:
  struct Job {
    size_t count, grain, blocks, pieces;
    const std::function<void(size_t, size_t)>* work;
  };

  /** Threads for what begins now. Other processes see that this one computes. */
  int begin() {
    return shares_.alone() ? threads_ : shares_.begin(sharedNow(), threads_);
  }

  void share(const Job& job, int helpers) {
    job_ = job;
    taking_.store(helpers, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    ticket_.store(((ticket_.load() >> 32) + 1) << 32 | job.pieces);
    for (int i = 0; i < helpers; ++i) helpers_[i].wake();
    while (takePiece()) {
    }
    for (int look = 0; done_.load(std::memory_order_acquire) < job.pieces; ++look) {
      if (look < kPatience) pause();
      else std::this_thread::yield();
    }
  }

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

  void serve(int helper) {
    for (;;) {
      if ((takesPart(helper) && takePiece()) || looked(helper)) continue;
      helpers_[helper].sleep([&] { return takesPart(helper) && hasPieces(ticket_.load()); });
    }
  }

  bool takesPart(int helper) const {
    return helper < taking_.load(std::memory_order_relaxed);
  }

  /** Whether there was work within the time that is worth staying awake for. The processor of who takes no part is another's. */
  bool looked(int helper) const {
    for (int look = 0; look < kLooks && takesPart(helper); ++look) {
      if (hasPieces(ticket_.load(std::memory_order_acquire))) return true;
      pause();
    }
    return false;
  }

  const int threads_;
  Shares shares_;
  std::mutex callers_;
  std::vector<Helper> helpers_;
  /** Helpers that take part in jobs: the first so many. */
  std::atomic<int> taking_{0};
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
