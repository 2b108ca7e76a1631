// Where a fuzz case comes from: its seed alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

/** SplitMix64 (https://doi.org/10.1145/2714064.2660195). */
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

  /** From 0 up to, and without, `count`. */
  int below(int count) {
    return static_cast<int>(next() % static_cast<uint64_t>(count));
  }

  /** From `first` to `last`, both included. */
  int between(int first, int last) {
    return first + below(last - first + 1);
  }

  /** From 0 up to, and without, 1. */
  double unit() {
    return static_cast<double>(next() >> 11) * 0x1p-53;
  }

  bool chance(double probability) {
    return unit() < probability;
  }

  template <class T>
  T pick(std::initializer_list<T> of) {
    return of.begin()[below(static_cast<int>(of.size()))];
  }

 private:
  uint64_t state_;
};
