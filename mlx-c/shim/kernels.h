/* Products of activations with weights, computed by our own threads on the CPU stream. Lazy, like any operation of MLX. */
#ifndef EXO_KERNELS_H
#define EXO_KERNELS_H

#include <stddef.h>

#include "mlx/c/array.h"
#include "mlx/c/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * x [.., K] times the transpose of weight [N, K], plus bias [N] where it is not null: [.., N] in x's element type.
 * Element types float32, float16 and bfloat16, in any mixture; sums are float32. `s` must be a CPU stream.
 */
int exo_linear(
    mlx_array* res,
    const mlx_array x,
    const mlx_array weight,
    const mlx_array bias /* may be null */,
    const mlx_stream s);

/**
 * The same for a weight packed as MLX packs it (affine: value = scale * q + bias): weight uint32 [N, K * bits / 32], scales and
 * biases [N, K / group_size] float16, bfloat16 or float32 (both alike). bits 4 or 8, group_size 32, 64 or 128.
 */
int exo_quantized_linear(
    mlx_array* res,
    const mlx_array x,
    const mlx_array weight,
    const mlx_array scales,
    const mlx_array biases,
    int group_size,
    int bits,
    const mlx_stream s);

/** The instruction set the kernels use: "avx512", "avx2", "neon" or "portable"; EXO_CPU_KERNELS chooses a lower one. */
const char* exo_kernel_path(void);

/** Threads of the kernels' pool, the calling one included: EXO_THREADS, or the machine's processors. */
size_t exo_kernel_threads(void);

#ifdef __cplusplus
}
#endif

#endif
