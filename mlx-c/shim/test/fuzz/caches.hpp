// Rows as a cache may hold them in bytes: of each 32 values multiples of a scale, plus 128; after all values the scales, bfloat16.
#pragma once

#include "softmax.hpp"

/** Numbers that are what they are, without an error of their own. */
Numbers exact(const std::vector<double>& values);

/** Bytes of a packed row of `dims` values. */
int packedBytes(int dims);

/** Random packed rows in any layout; `shape` is that of the values. */
Operand packedRows(Case& of, const char* name, Shape shape);

/** The values of packed rows, as the kernels read them: multiples in float32. */
std::vector<double> unpackedRows(const std::vector<double>& bytes, int dims);

/** Those values as they are met by few query rows: on some instruction sets in integers. */
Numbers packedNumbers(const std::vector<double>& bytes, int dims);

/** What packing makes of a row of values that are off by `errors`: each may end half a step away, or a whole one where in doubt. */
std::vector<Wanted> repacked(const double* values, const double* errors, int dims);
