// What our operations have in common as primitives of MLX: lazy, evaluated on the CPU stream's thread.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kernels.hpp"
#include "mlx/allocator.h"
#include "mlx/array.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/primitives.h"
#include "profile.hpp"

namespace exo {

/** An evaluated array as kernels read it. Holds nothing: MLX keeps inputs and outputs until the stream has passed them. */
struct View {
  char* data;
  mlx::core::Dtype dtype;
  mlx::core::Shape shape;
  mlx::core::Strides strides;
  /** Elements lie in row-major order without gaps. */
  bool adjoining;

  explicit View(const mlx::core::array& of);
  /** Floats of our own, in row-major order. */
  View(float* of, mlx::core::Shape shape);

  Float type() const;
  size_t size() const;
  /** Length of the last axis, and the number of such rows. */
  size_t columns() const;
  size_t rows() const;
  /** Where the last axis of row `index` (in row-major order of the axes before it) begins. */
  char* row(size_t index) const;
  /** Elements of row `index` as floats: in place, or copied into `scratch` (made large enough). */
  const float* floats(size_t index, std::vector<float>& scratch) const;
};

/** float32, float16 or bfloat16. */
bool isFloat(const mlx::core::array& values);

/** Work (in elements or products) below which handing a part to another thread costs more than it saves. */
constexpr size_t kWorthHandingOver = 32768;

/** Rows of one piece of work, each of which takes `work`. */
inline size_t grainOf(size_t work) {
  return work >= kWorthHandingOver ? 1 : (kWorthHandingOver + work - 1) / (work + 1);
}

/** Throws where there is no memory: MLX does not look. */
mlx::core::allocator::Buffer room(size_t bytes);

/** Whether an operation on these is to be computed as it is made: see exo_at_once. */
bool computedAtOnce(const std::vector<mlx::core::array>& inputs);

/** An array that is there, of any content. */
mlx::core::array made(const mlx::core::Shape& shape, mlx::core::Dtype dtype);

/** `Operation` is a value with `name`, equality, and `operator()(inputs, out)` over views, called on the stream's thread. */
template <class Operation>
class Node : public mlx::core::UnaryPrimitive {
 public:
  Node(mlx::core::Stream stream, Operation operation) : UnaryPrimitive(stream), operation_(operation) {}

  void eval_cpu(const std::vector<mlx::core::array>& inputs, mlx::core::array& out) override {
    out.set_data(room(out.nbytes()));
    if (out.size() == 0) return;
    auto& encoder = mlx::core::cpu::get_command_encoder(stream());
    std::vector<View> views;
    views.reserve(inputs.size());
    for (const auto& input : inputs) {
      encoder.set_input_array(input);
      views.emplace_back(input);
    }
    encoder.set_output_array(out);
    encoder.dispatch([operation = operation_, views = std::move(views), to = View(out)] {
      run(operation, views, to);
    });
  }

  static void run(const Operation& operation, const std::vector<View>& views, const View& to) {
    Timed timed(Operation::name, to.rows(), to.columns());
    operation(views, to);
  }

  void eval_gpu(const std::vector<mlx::core::array>&, mlx::core::array&) override {
    throw std::runtime_error("exo's kernels run on a CPU stream only");
  }

  const char* name() const override {
    return Operation::name;
  }

  bool is_equivalent(const Primitive& other) const override {
    return static_cast<const Node&>(other).operation_ == operation_;
  }

 private:
  Operation operation_;
};

/** The same with two results of one shape: `operator()(inputs, first, second)`, which counts its parts itself if it has `parts`. */
template <class Operation>
class PairNode : public mlx::core::Primitive {
 public:
  PairNode(mlx::core::Stream stream, Operation operation) : Primitive(stream), operation_(operation) {}

  void eval_cpu(const std::vector<mlx::core::array>& inputs, std::vector<mlx::core::array>& outs) override {
    for (auto& out : outs) out.set_data(room(out.nbytes()));
    if (outs[0].size() == 0) return;
    std::vector<View> views(inputs.begin(), inputs.end());
    auto& encoder = mlx::core::cpu::get_command_encoder(stream());
    encoder.dispatch([operation = operation_, views = std::move(views), one = View(outs[0]), two = View(outs[1])] {
      run(operation, views, one, two);
    });
  }

  static void run(const Operation& operation, const std::vector<View>& views, const View& one, const View& two) {
    if constexpr (requires { Operation::parts; }) return operation(views, one, two);
    Timed timed(Operation::name, one.rows(), one.columns());
    operation(views, one, two);
  }

  void eval_gpu(const std::vector<mlx::core::array>&, std::vector<mlx::core::array>&) override {
    throw std::runtime_error("exo's kernels run on a CPU stream only");
  }

  const char* name() const override {
    return Operation::name;
  }

  bool is_equivalent(const Primitive& other) const override {
    return static_cast<const PairNode&>(other).operation_ == operation_;
  }

 private:
  Operation operation_;
};

template <class Operation>
mlx::core::array lazy(
    mlx::core::Shape shape,
    mlx::core::Dtype dtype,
    mlx::core::Stream stream,
    Operation operation,
    std::vector<mlx::core::array> inputs) {
  if (computedAtOnce(inputs)) {
    mlx::core::array out = made(shape, dtype);
    if (out.size() > 0) Node<Operation>::run(operation, {inputs.begin(), inputs.end()}, View(out));
    return out;
  }
  return mlx::core::array(std::move(shape), dtype, std::make_shared<Node<Operation>>(stream, operation), std::move(inputs));
}

/** The same for two results. */
template <class Operation>
std::vector<mlx::core::array> lazyPair(
    const mlx::core::array& like, mlx::core::Stream stream, Operation operation, std::vector<mlx::core::array> inputs) {
  if (computedAtOnce(inputs)) {
    std::vector<mlx::core::array> outs{made(like.shape(), like.dtype()), made(like.shape(), like.dtype())};
    if (like.size() > 0) PairNode<Operation>::run(operation, {inputs.begin(), inputs.end()}, View(outs[0]), View(outs[1]));
    return outs;
  }
  return mlx::core::array::make_arrays(
      {like.shape(), like.shape()}, {like.dtype(), like.dtype()}, std::make_shared<PairNode<Operation>>(stream, std::move(operation)),
      std::move(inputs));
}

} // namespace exo
