// Random weights of products, as the kernels get them and in plain numbers.
#pragma once

#include <optional>

#include "wanted.hpp"

/** [matrices, rows, columns] without the first axis's meaning: row r of matrix e is row e * rows + r. */
struct Weight {
  size_t rows, columns;
  /** Of packed ones what the codes stand for, before their scale. */
  std::vector<double> values;
  /** 0: dense. */
  size_t group = 0;
  bool affine = false;
  /** Kernels may round x beside it. */
  bool rounds = false;
  /** Kernels may add so much to values, that none is below zero, and take it from the sum. */
  double raised = 0;
  /** One per group; biases are zero where the packing has none. */
  std::vector<double> scales, biases;
};

/** A weight as the kernels get it. */
struct Made {
  Weight plain;
  Operand weight;
  std::optional<Operand> scales, biases;
  int group = 0, bits = 0;
  const char* mode = "";

  mlx_array biasesOrNull() const {
    return biases ? biases->array : mlx_array{nullptr};
  }
};

/** How many rows a weight has: a few, or more than a piece of work. */
int weightRows(Random& random);

/** Columns of a dense weight: around multiples of vectors, now and then past a block of 1,024. */
int denseColumns(Random& random);

/** `matrices` 0: a weight without that axis. */
Made denseWeight(Case& of, int matrices, int rows, int columns);

/** In any packing that the kernels know, or in that of `like`. `columns`: so many, a multiple of 32; 0: any number. */
Made packedWeight(Case& of, int matrices, int rows, int columns = 0, const Made* like = nullptr);
