// What the steps of a layer are made of: weights as C hands them over, and the memory between one part and the next.
#pragma once

#include <memory>
#include <vector>

#include "kernels_products.hpp"
#include "mlx/c/array.h"

namespace exo {

/** How a weight comes in: packed or dense, with a bias or without. */
struct Form {
  Packing packing;
  bool biased;

  bool operator==(const Form&) const = default;
};

/** Takes arrays from a list that C gives, and notes which of the operation's inputs they become. */
class Given {
 public:
  Given(const mlx_array* arrays, const int* packings) : arrays_(arrays), packings_(packings) {}

  /** The next array; throws where it is not there. */
  const mlx::core::array& next();
  /** The same where it may be left out: whether it was there. */
  bool perhaps();
  /** The next weight [rows, columns], which is noted in `forms`. */
  void weight();

  /** Axes of the last weight. */
  int rows = 0, columns = 0;
  /** All that was taken so far can be computed here: weights in packings we know, else float32. */
  bool ours = true;
  std::vector<mlx::core::array> inputs;
  std::vector<Form> forms;

 private:
  const mlx_array* arrays_;
  const int* packings_;
};

/** Reads the inputs of an operation in the order in which they were taken. */
class Reader {
 public:
  Reader(const std::vector<View>& inputs, size_t at) : inputs_(inputs), at_(at) {}

  const View& next() {
    return inputs_[at_++];
  }
  const float* floats();
  /** A weight, the result of whose product goes to `out`. */
  Product product(const Form& form, float* out);

 private:
  const char* ordered(const View& of);

  const std::vector<View>& inputs_;
  size_t at_;
  /** Copies of what does not lie in row-major order. */
  std::vector<std::unique_ptr<std::vector<char>>> copies_;
};

/** Floats of any content for what lies between the parts of a step. */
class Between {
 public:
  explicit Between(size_t floats) : space_(std::make_unique_for_overwrite<float[]>(floats)) {}

  float* take(size_t floats) {
    float* taken = space_.get() + used_;
    used_ += floats;
    return taken;
  }

 private:
  std::unique_ptr<float[]> space_;
  size_t used_ = 0;
};

/** x, or x + y where `summed`, into `sums`, and the norm of that. Inputs: x, perhaps y, the norm's weight; returns what follows. */
size_t normed(const std::vector<View>& inputs, bool summed, float eps, const View& sums, float* to);

} // namespace exo
