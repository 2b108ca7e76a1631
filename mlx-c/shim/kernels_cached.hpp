// Attention of one new token of each of several sequences, by itself and within the step of a layer.
#pragma once

#include <vector>

#include "kernels_attention.hpp"
#include "kernels_rope.hpp"

namespace exo {

/** Of one sequence: its token's position, the row of its cache that is written, and how many rows are seen then. */
struct Place {
  int position, row, seen;

  bool operator==(const Place&) const = default;
};

/** Inputs: q, k, v, each sequence's keys and values in turn, perhaps the rotation's periods. */
struct CachedAttention {
  static constexpr const char* name = "ExoCachedAttention";
  Rotation rotation;
  float scale;
  std::vector<Place> places;

  bool operator==(const CachedAttention&) const = default;

  void operator()(const std::vector<View>& inputs, const View& out) const;

  /**
   * Throws what does not fit: memory is written here, so that nothing may be left to chance. q, k and v are floats of so many
   * elements; `caches` are all other inputs.
   */
  void check(size_t q, size_t k, size_t v, const std::vector<mlx::core::array>& caches) const;

 private:
  const Angles* anglesFor(const std::vector<View>& inputs) const;
  void turned(const Angles* angles, size_t b, const float* from, size_t dims, float* to) const;
};

/** As C hands them over: three numbers for each sequence. */
std::vector<Place> placesOf(const int* numbers, size_t count);

} // namespace exo
