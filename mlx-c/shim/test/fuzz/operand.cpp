#include "operand.hpp"

#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "guarded_memory.hpp"

namespace {

/** Where the elements of an operand lie, in elements from the first one of its memory. */
struct Layout {
  std::vector<int64_t> strides;
  int64_t offset = 0, extent = 0;
  bool plain = true;
};

/** A case's arrays stay below this many elements, gaps included. */
constexpr int64_t kExtentMax = 1 << 20;

Layout rowMajor(const Shape& shape) {
  Layout layout{std::vector<int64_t>(shape.size(), 1), 0, static_cast<int64_t>(sizeOf(shape)), true};
  for (size_t axis = shape.size(); axis-- > 1;) layout.strides[axis - 1] = layout.strides[axis] * shape[axis];
  return layout;
}

/** Transposed, with gaps, reversed, or with an axis that repeats one element. */
Layout drawn(Random& random, const Shape& shape) {
  Layout layout{std::vector<int64_t>(shape.size(), 1), 0, 0, false};
  std::vector<size_t> order(shape.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (random.chance(0.5))
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(static_cast<int>(i))]);
  int64_t current = 1, last = 0;
  for (size_t i = order.size(); i-- > 0;) {
    size_t axis = order[i];
    int64_t steps = shape[axis] - 1, gap = random.chance(0.15) ? random.between(2, 3) : 1;
    int64_t stride = random.chance(0.06) ? 0 : current * gap;
    layout.strides[axis] = stride;
    last += stride * steps;
    if (stride > 0) current = stride * shape[axis] + (random.chance(0.2) ? random.between(1, 9) : 0);
    if (stride > 0 && random.chance(0.12)) {
      layout.strides[axis] = -stride;
      layout.offset += stride * steps;
    }
  }
  int64_t lead = random.chance(0.3) ? random.between(1, 9) : 0;
  layout.offset += lead;
  layout.extent = last + lead + 1;
  return layout;
}

Layout layoutOf(Random& random, const Shape& shape) {
  if (sizeOf(shape) == 0 || random.chance(0.5)) return rowMajor(shape);
  Layout layout = drawn(random, shape);
  return layout.extent > kExtentMax ? rowMajor(shape) : layout;
}

/** Calls `visit` with the place of each element, in row-major order. */
template <class Visit>
void walk(const Shape& shape, const Layout& layout, const Visit& visit) {
  std::vector<int> index(shape.size());
  int64_t at = layout.offset;
  for (size_t count = sizeOf(shape), i = 0; i < count; ++i) {
    visit(i, at);
    for (size_t axis = shape.size(); axis-- > 0;) {
      at += layout.strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= layout.strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

double drawnValue(Random& random, Draw draw, mlx_dtype type) {
  double sign = random.chance(0.5) ? -1 : 1, size = random.unit() + random.unit() + random.unit();
  switch (draw) {
    case Draw::ordinary: return sign * size;
    case Draw::wide: return sign * std::ldexp(size, random.between(-12, 6));
    case Draw::whole: return random.between(-8, 8);
    case Draw::sparse: return random.chance(0.9) ? 0.0 * sign : sign * size;
    case Draw::extreme: break;
  }
  bool half = type == MLX_FLOAT16;
  return sign * std::ldexp(size, random.between(half ? -26 : -150, half ? 16 : 128));
}

std::string textOf(const Layout& layout) {
  if (layout.plain) return "";
  std::string text = " strides";
  for (int64_t stride : layout.strides) text += " " + std::to_string(stride);
  return text + " from " + std::to_string(layout.offset);
}

} // namespace

size_t sizeOf(const Shape& shape) {
  size_t size = 1;
  for (int length : shape) size *= static_cast<size_t>(length);
  return size;
}

std::string textOf(const Shape& shape) {
  std::string text = "[";
  for (size_t axis = 0; axis < shape.size(); ++axis) text += (axis ? ", " : "") + std::to_string(shape[axis]);
  return text + "]";
}

Case::Case(uint64_t seed, mlx_stream stream) : random(seed), stream(stream), calm_(random.chance(0.6)), whole_(calm_ && random.chance(0.1)) {}

Case::~Case() {
  for (mlx_array array : kept_) mlx_array_free(array);
}

void Case::say(const std::string& what) {
  said += (said.empty() ? "" : "; ") + what;
}

mlx_array Case::keep(mlx_array array) {
  kept_.push_back(array);
  return array;
}

mlx_dtype Case::floatType() {
  return random.pick({MLX_FLOAT32, MLX_FLOAT32, MLX_FLOAT16, MLX_BFLOAT16});
}

Operand Case::floats(const char* name, const Shape& shape, mlx_dtype type) {
  Draw draw = whole_ ? Draw::whole : Draw::ordinary;
  if (!calm_ && random.chance(0.6)) draw = random.pick({Draw::wide, Draw::whole, Draw::sparse, Draw::extreme});
  std::vector<double> values(sizeOf(shape));
  for (double& value : values) value = roundedTo(type, drawnValue(random, draw, type));
  if (!calm_ && !values.empty() && random.chance(0.2)) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (int count = random.between(1, 3); count > 0; --count) {
      double special = random.pick({std::numeric_limits<double>::quiet_NaN(), infinity, -infinity, -0.0});
      values[random.below(static_cast<int>(values.size()))] = special;
    }
  }
  return of(name, shape, type, std::move(values));
}

Operand Case::of(const char* name, const Shape& shape, mlx_dtype type, std::vector<double> values) {
  Layout layout = straight ? rowMajor(shape) : layoutOf(random, shape);
  int64_t bytes = bytesOf(type);
  GuardedMemory memory(static_cast<size_t>(layout.extent * bytes), random.chance(0.75));
  // What lies between the elements must not be read: floats of these bits are no numbers.
  std::fill(memory.data(), memory.data() + memory.size(), static_cast<uint8_t>(0xff));
  walk(shape, layout, [&](size_t i, int64_t at) { encode(type, values[i], memory.data() + at * bytes); });
  walk(shape, layout, [&](size_t i, int64_t at) { values[i] = decode(type, memory.data() + at * bytes); });
  say(std::string(name) + " " + nameOf(type) + textOf(shape) + textOf(layout));
  if (layout.plain) return {keep(std::move(memory).array(shape, type)), shape, type, std::move(values)};
  mlx_array base = keep(std::move(memory).array({static_cast<int>(layout.extent)}, type)), view = mlx_array_new();
  if (mlx_as_strided(&view, base, shape.data(), shape.size(), layout.strides.data(), shape.size(), static_cast<size_t>(layout.offset), stream) != 0)
    throw std::runtime_error("MLX makes no such view");
  return {keep(view), shape, type, std::move(values)};
}
