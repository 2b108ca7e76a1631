// What attention over a prompt and attention of a decode step have in common.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kernels_node.hpp"

namespace exo {

/** Whether a cache may lie in arrays of this type, with rows of `dims` elements; uint8 rows are packed ones. */
bool isHeld(const mlx::core::array& rows, int dims);
/** Elements of a row. */
size_t heldDims(const mlx::core::array& rows);
size_t heldDims(const View& rows);
Held heldAs(const View& rows);

/** The mixtures of several pieces of keys for the same query rows. */
struct Mixtures {
  std::unique_ptr<float[]> space;
  size_t rows, dims;

  /** Of any content. */
  Mixtures(size_t pieces, size_t rows, size_t dims)
      : space(std::make_unique_for_overwrite<float[]>(pieces * rows * (2 + dims))), rows(rows), dims(dims) {}

  Mixture at(size_t piece) const {
    float* from = space.get() + piece * rows * (2 + dims);
    return {from, from + rows, from + 2 * rows};
  }

  /** Row `row` of `count` pieces joined; zeros, where `keys` is 0: without any key there is nothing to mix. */
  void join(size_t row, size_t count, size_t keys, float* to) const;
};

/** Few query rows that see the same keys, from the first to the `keys`-th. */
struct Group {
  KeyValueHead head;
  Queries queries;
  size_t keys;
};

/**
 * All groups at once: threads share the keys, in pieces whose size depends on a group's keys alone, so that a group's result does not
 * depend on what is beside it. `take` gets each row's mixture [valueDims], on any thread.
 */
void attendGroups(const std::vector<Group>& groups, const std::function<void(size_t group, size_t row, const float* mixed)>& take);

} // namespace exo
