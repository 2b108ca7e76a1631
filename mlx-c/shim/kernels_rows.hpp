// Norms of rows, by themselves and within the steps of a layer.
#pragma once

#include <vector>

#include "kernels_node.hpp"

namespace exo {

/** Inputs: x, weight. */
struct RmsNorm {
  static constexpr const char* name = "ExoRmsNorm";
  float eps;

  bool operator==(const RmsNorm&) const = default;

  void operator()(const std::vector<View>& inputs, const View& out) const;
};

/** x + y, rounded to their type, and the norm of that. Inputs: x, y, weight. */
struct AddRmsNorm {
  static constexpr const char* name = "ExoAddRmsNorm";
  float eps;

  bool operator==(const AddRmsNorm&) const = default;

  void operator()(const std::vector<View>& inputs, const View& sums, const View& normed) const;
};

} // namespace exo
