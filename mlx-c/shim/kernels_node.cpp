#include "kernels_node.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "guarded.hpp"
#include "kernels.h"
#include "mlx/c/private/mlx.h"
#include "mlx/ops.h"
#include "pool.hpp"
#include "settings.hpp"

namespace mx = mlx::core;

namespace exo {
namespace {

bool isRowMajor(const mx::Shape& shape, const mx::Strides& strides) {
  int64_t wanted = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] != 1 && strides[axis] != wanted) return false;
    wanted *= shape[axis];
  }
  return true;
}

mx::Strides rowMajor(const mx::Shape& shape) {
  mx::Strides strides(shape.size());
  int64_t stride = 1;
  for (size_t axis = shape.size(); axis-- > 0; stride *= shape[axis]) strides[axis] = stride;
  return strides;
}

/** Of operations that this thread makes. */
thread_local bool atOnce = false;

} // namespace

mx::allocator::Buffer room(size_t bytes) {
  auto buffer = mx::allocator::malloc(bytes);
  if (buffer.ptr() == nullptr && bytes > 0) throw std::runtime_error("no memory for " + std::to_string(bytes) + " bytes");
  return buffer;
}

bool computedAtOnce(const std::vector<mx::array>& inputs) {
  return atOnce && std::all_of(inputs.begin(), inputs.end(), [](const mx::array& input) { return input.is_available(); });
}

mx::array made(const mx::Shape& shape, mx::Dtype dtype) {
  size_t count = 1;
  for (auto length : shape) count *= static_cast<size_t>(length);
  return mx::array(room(count * mx::size_of(dtype)), shape, dtype);
}

View::View(const mx::array& of)
    : data(const_cast<char*>(of.data<char>())),
      dtype(of.dtype()),
      shape(of.shape()),
      strides(of.strides()),
      adjoining(isRowMajor(shape, strides)) {}

View::View(float* of, mx::Shape sizes)
    : data(reinterpret_cast<char*>(of)), dtype(mx::float32), shape(std::move(sizes)), strides(rowMajor(shape)), adjoining(true) {}

Float View::type() const {
  return dtype == mx::float32 ? Float::f32 : dtype == mx::float16 ? Float::f16 : Float::bf16;
}

size_t View::columns() const {
  return shape.empty() ? 1 : shape.back();
}

size_t View::rows() const {
  size_t count = 1;
  for (size_t axis = 0; axis + 1 < shape.size(); ++axis) count *= shape[axis];
  return count;
}

size_t View::size() const {
  return rows() * columns();
}

char* View::row(size_t index) const {
  int64_t bytes = mx::size_of(dtype);
  if (adjoining) return data + static_cast<int64_t>(index * columns()) * bytes;
  int64_t offset = 0;
  for (size_t axis = shape.size() - 1; axis-- > 0;) {
    offset += static_cast<int64_t>(index % shape[axis]) * strides[axis];
    index /= shape[axis];
  }
  return data + offset * bytes;
}

const float* View::floats(size_t index, std::vector<float>& scratch) const {
  ptrdiff_t step = adjoining ? 1 : strides.back();
  const char* at = row(index);
  if (step == 1 && dtype == mx::float32) return reinterpret_cast<const float*>(at);
  if (scratch.size() < columns()) scratch.resize(columns());
  kernels().read(type(), at, step, columns(), scratch.data());
  return scratch.data();
}

bool isFloat(const mx::array& values) {
  return values.dtype() == mx::float32 || values.dtype() == mx::float16 || values.dtype() == mx::bfloat16;
}

} // namespace exo

extern "C" void exo_at_once(bool on) {
  exo::atOnce = on;
}

extern "C" int exo_squeeze(mlx_array* res, const mlx_array x, int axis, const mlx_stream s) {
  return exo::guarded([&] {
    const auto& values = mlx_array_get_(x);
    auto made = mx::squeeze(values, axis, mlx_stream_get_(s));
    bool there = exo::computedAtOnce({values}) && values.flags().row_contiguous;
    if (!there) return mlx_array_set_(*res, std::move(made)), void();
    mx::array view(made.shape(), made.dtype(), nullptr, {});
    view.copy_shared_buffer(values, exo::rowMajor(view.shape()), values.flags(), values.data_size());
    view.set_status(mx::array::Status::available);
    mlx_array_set_(*res, std::move(view));
  });
}

extern "C" const char* exo_kernel_path(void) {
  return exo::kernelsUnwanted() ? "mlx" : exo::kernels().name;
}

extern "C" const char* exo_kernel_problem(void) {
  static thread_local std::string told;
  try {
    exo::checkKernelSetting();
    exo::threadsTold(std::getenv("EXO_THREADS"));
    return nullptr;
  } catch (const exo::SettingError& error) {
    told = error.what();
    return told.c_str();
  }
}

extern "C" size_t exo_kernel_threads(void) {
  return static_cast<size_t>(exo::poolThreads());
}
