// Rotations: how they are drawn, and what they make of a row.
#pragma once

#include <optional>

#include "wanted.hpp"

struct Turn {
  int dims = 0;
  bool traditional = false;
  float scale = 1;
  int offset = 0;
  mlx_optional_float base{};
  std::optional<Operand> periods;
  /** Turns per position of each pair of channels. */
  std::vector<float> speeds;

  mlx_array periodsOrNull() const {
    return periods ? periods->array : mlx_array{nullptr};
  }
};

/** A rotation of some of `columns` channels (2 or more), by a base or by periods. */
Turn drawnTurn(Case& of, int columns);

/** A row [columns] at its position; angles are float32 products, by definition. */
void turned(const double* x, int columns, int position, const Turn& turn, Wanted* to);
