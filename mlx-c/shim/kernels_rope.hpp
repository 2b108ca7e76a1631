// The angles of rotary positions, which all layers of a step have in common.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels_node.hpp"

namespace exo {

/** How the first `dims` channels turn; base 0: by periods given beside it. dims 0: not at all. */
struct Rotation {
  int dims;
  bool traditional;
  float base, scale;

  bool operator==(const Rotation&) const = default;
};

/** Cosines and sines [positions, dims / 2] of a run of positions. */
struct Angles {
  std::vector<float> speeds;
  float scale = 0;
  std::vector<int> positions;
  std::vector<float> cosines, sines;
};

/** Those of the last call of this thread, made anew where they differ. `periods` [dims / 2] unless there is a base. */
const Angles& anglesOf(const Rotation& rotation, const View* periods, const std::vector<int>& positions);

} // namespace exo
