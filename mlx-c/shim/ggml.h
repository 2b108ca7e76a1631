/* Tensors of GGUF files, unpacked into what MLX computes with. */
#ifndef EXO_GGML_H
#define EXO_GGML_H

#include <stddef.h>
#include <stdint.h>

#include "checkpoint.h"
#include "mlx/c/array.h"
#include "mlx/c/vector.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * How a ggml type is held after unpacking, as four numbers in `layout`: values of a block, bytes of a block, bits of a
 * packed value (0: the type is not packed, its elements are copied), and 1 where there are biases besides the scales.
 * Error if the type is not one that can be unpacked.
 */
int exo_ggml_layout(int type, int64_t* layout);

/**
 * Unpacks part of a tensor that is a stack of matrices, each of rows of blocks: `res` becomes [weight, scales, biases],
 * [weight, scales] or [elements]. The `range` is twelve numbers:
 *   0 ggml type, 1 first byte in the file, 2 columns, 3 rows of one matrix, 4 matrices,
 *   5 first row, 6 end row, 7 first column, 8 end column, 9 first matrix, 10 end matrix,
 *   11 rows of one head where rows were interleaved for rotary embeddings and are put back, else 0.
 * Packed columns start and end at multiples of 32; interleaved rows at multiples of a head.
 * The shapes are [rows, columns] of what was chosen, with the matrices in front if `stacked`.
 */
int exo_ggml_array(mlx_vector_array* res, exo_file file, const int64_t* range, bool stacked);

#ifdef __cplusplus
}
#endif

#endif
