// How the processes of one user share the machine's processors, so that no more threads compute than there are processors.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace exo {

/**
 * A small file that every process maps: in it each has a place of its own, where it writes when it computes. Who begins a piece
 * of work reads the others' places and takes its share. Nothing is held that must be given back: a time grows old by itself, and
 * the lock that marks a place as taken is the system's, which ends with the process, however that ends.
 */
class Shares {
 public:
  /** Takes a place in the file at `path`, which is made where it is missing. Where that cannot be done, one is alone. */
  explicit Shares(const std::string& path);
  ~Shares();
  Shares(const Shares&) = delete;
  Shares& operator=(const Shares&) = delete;

  /** No other process has a place: then nobody needs to be told anything, and no clock be read. */
  bool alone() const {
    return !table_ || table_->places.load(std::memory_order_relaxed) <= 1;
  }

  /**
   * Threads for a piece of work that begins at `now` (of `sharedNow`), of `processors`: every process that is at work keeps one,
   * for it computes again in a moment, and those that compute right now have equal parts of the rest.
   */
  int begin(int64_t now, int processors);

  /** That piece of work is done. */
  void end(int64_t now);

  /** One who computed within this time is about to go on: it is between two tokens of an answer. In nanoseconds. */
  static constexpr int64_t kAtWork = 5'000'000;
  /** One who computed within this time does so now: between two operations of a token lies less. */
  static constexpr int64_t kComputing = 100'000;
  /** One who is longer at one piece of work than this was stopped in the middle. */
  static constexpr int64_t kLongest = 10'000'000'000;
  /** More than one user has models in memory at once. */
  static constexpr int kPlaces = 128;

 private:
  /** Places of different processes lie on different cache lines. */
  struct alignas(64) Place {
    /** When a piece of work ended; or, below 0, minus the time when the one under way began. */
    std::atomic<int64_t> time;
  };
  /** As it lies in the file; zeros are an empty table. */
  struct Table {
    /** Every place that is taken is before this. */
    alignas(64) std::atomic<int32_t> places;
    Place place[kPlaces];
  };
  static_assert(std::atomic<int64_t>::is_always_lock_free && std::atomic<int32_t>::is_always_lock_free);

  bool open(const std::string& path);
  bool takePlace();
  bool isTaken(int place) const;
  /** 0: at rest, 1: between two pieces of work, 2: computing. */
  int activity(int place, int64_t now);

  int file_ = -1;
  int mine_ = -1;
  Table* table_ = nullptr;
};

/** The clock that all processes of a machine read alike, in nanoseconds. */
int64_t sharedNow();

/** Where this user's processes share: memory of the machine, not a disk. Empty where there is no such place. */
std::string sharesPath();

} // namespace exo
