#include "kernels_node.hpp"

#include <cstdlib>
#include <string>

#include "kernels.h"
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

} // namespace

View::View(const mx::array& of)
    : data(const_cast<char*>(of.data<char>())),
      dtype(of.dtype()),
      shape(of.shape()),
      strides(of.strides()),
      adjoining(isRowMajor(shape, strides)) {}

View::View(float* of, mx::Shape sizes) : data(reinterpret_cast<char*>(of)), dtype(mx::float32), shape(std::move(sizes)), adjoining(true) {
  strides.resize(shape.size());
  int64_t stride = 1;
  for (size_t axis = shape.size(); axis-- > 0; stride *= shape[axis]) strides[axis] = stride;
}

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
