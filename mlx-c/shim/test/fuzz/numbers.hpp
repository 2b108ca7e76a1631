// Float formats, computed the plain way: the kernels' own conversions are what is tested.
#pragma once

#include <cstdint>

#include "mlx/c/array.h"

/** Bytes of an element. */
int bytesOf(mlx_dtype type);

const char* nameOf(mlx_dtype type);

/** The nearest value of a float type, ties to even: infinity from where the format ends. Integers stay. */
double roundedTo(mlx_dtype type, double value);

/** Writes a value that the type has. */
void encode(mlx_dtype type, double value, uint8_t* to);

double decode(mlx_dtype type, const uint8_t* from);
