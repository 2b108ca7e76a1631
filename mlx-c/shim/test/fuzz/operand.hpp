// Arrays of a case: random values in a random layout, in memory that ends (or begins) where reading on is a fault.
#pragma once

#include <string>
#include <vector>

#include "mlx/c/mlx.h"
#include "numbers.hpp"
#include "random.hpp"

using Shape = std::vector<int>;

size_t sizeOf(const Shape& shape);

std::string textOf(const Shape& shape);

struct Operand {
  mlx_array array;
  Shape shape;
  mlx_dtype type;
  /** Row-major. */
  std::vector<double> values;

  double at(size_t index) const {
    return values[index];
  }
};

/** How values are drawn: ordinary ones in most cases, so that mistakes do not hide behind overflow. */
enum class Draw { ordinary, wide, whole, sparse, extreme };

/** One case: everything random in it, what it frees, and its description for who has to find the mistake. */
class Case {
 public:
  Case(uint64_t seed, mlx_stream stream);
  ~Case();
  Case(const Case&) = delete;

  Random random;
  const mlx_stream stream;
  std::string said;
  /** Operands lie row-major, as whoever writes into them wants it. */
  bool straight = false;

  void say(const std::string& what);

  mlx_array keep(mlx_array array);

  /** A float type. */
  mlx_dtype floatType();

  /** Values that the type has, of a spread of this case's mood, now and then with NaN and infinities. */
  Operand floats(const char* name, const Shape& shape, mlx_dtype type);

  /** Values as given (row-major, every one in the type's range), in any layout; equal ones where an axis is broadcast. */
  Operand of(const char* name, const Shape& shape, mlx_dtype type, std::vector<double> values);

 private:
  /** Only ordinary values and no NaN; or only small whole numbers, of which sums are exact. */
  bool calm_, whole_;
  std::vector<mlx_array> kept_;
};
