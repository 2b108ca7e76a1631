/*
 * The operations that decide a model's speed, computed by our own threads on the CPU stream: each one node of the graph, lazy
 * like any operation of MLX. Arithmetic is float32 for float32, float16 and bfloat16 (but for what exo_quantized_linear says), in
 * whatever strides the operands lie. Other element types, and shapes that do not fit, are handed to MLX's own operation. `s` must
 * be a CPU stream.
 */
#ifndef EXO_KERNELS_H
#define EXO_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "mlx/c/array.h"
#include "mlx/c/optional.h"
#include "mlx/c/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * x [.., K] times the transpose of weight [N, K], plus bias [N] where it is not null: [.., N] in x's element type.
 * The element types may differ.
 */
int exo_linear(
    mlx_array* res,
    const mlx_array x,
    const mlx_array weight,
    const mlx_array bias /* may be null */,
    const mlx_stream s);

/**
 * The same for a weight packed as MLX packs it: weight uint32 [N, K * bits / 32], scales and biases [N, K / group_size]. `mode`
 * "affine" (value = scale * q + bias): bits 2, 3, 4, 5, 6 or 8, group_size 32, 64 or 128, scales and biases float16, bfloat16 or
 * float32 (both alike). "mxfp4", "mxfp8" (group_size 32) and "nvfp4" (16): scales uint8, no biases.
 *
 * Beside all packed weights but mxfp8, x is rounded to 16-bit integers with a scale for every few columns: up to 8 rows of it by
 * the sets avx512, avxvnni, avx2 and neon (16 columns at most), more rows (and then not beside nvfp4) by avx512 alone (a group).
 * Results are off by about 2e-5 of their deviation (root mean square; float32 sums alone by 1e-6). The other sets compute in
 * float32: see EXO_CPU_KERNELS. On every path a row's results are the same bits whichever rows of x stand beside it, as long as
 * these are more than 8 in all, or are not.
 */
int exo_quantized_linear(
    mlx_array* res,
    const mlx_array x,
    const mlx_array weight,
    const mlx_array scales,
    const mlx_array biases /* may be null */,
    int group_size,
    int bits,
    const char* mode,
    const mlx_stream s);

/**
 * Mixture of experts: x [.., 1, K] times the transposes of the chosen ones of weight [E, N, K]: [.., k, 1, N] for experts [.., k]
 * (any integers), over which x is spread as MLX broadcasts. An expert that does not exist gives NaN. `sorted` is for MLX's own.
 */
int exo_expert_linear(
    mlx_array* res,
    const mlx_array x,
    const mlx_array weight,
    const mlx_array experts,
    bool sorted,
    const mlx_stream s);

/** The same for weights packed as in exo_quantized_linear, each part with an axis of experts before it. */
int exo_quantized_expert_linear(
    mlx_array* res,
    const mlx_array x,
    const mlx_array weight,
    const mlx_array scales,
    const mlx_array biases /* may be null */,
    const mlx_array experts,
    int group_size,
    int bits,
    const char* mode,
    bool sorted,
    const mlx_stream s);

/**
 * Rows of a table that is packed as in exo_quantized_linear, unpacked to `dtype`: ids [..] (integers; below 0: from the end)
 * give [.., K]. A row that does not exist gives NaN.
 */
int exo_quantized_rows(
    mlx_array* res,
    const mlx_array ids,
    const mlx_array weight,
    const mlx_array scales,
    const mlx_array biases /* may be null */,
    int group_size,
    int bits,
    const char* mode,
    mlx_dtype dtype,
    const mlx_stream s);

/** x / sqrt(mean(x^2) + eps) * weight over the last axis; weight [x's last axis] (https://arxiv.org/abs/1910.07467). */
int exo_rms_norm(
    mlx_array* res,
    const mlx_array x,
    const mlx_array weight,
    float eps,
    const mlx_stream s);

/** A residual and the norm of it: x + y, and exo_rms_norm of that; all of one shape. */
int exo_add_rms_norm(
    mlx_array* res,
    mlx_array* normed,
    const mlx_array x,
    const mlx_array y,
    const mlx_array weight,
    float eps,
    const mlx_stream s);

/** gate * sigmoid(gate) * up, element by element. */
int exo_silu_mul(
    mlx_array* res,
    const mlx_array gate,
    const mlx_array up,
    const mlx_stream s);

/**
 * x [B, H, L, D] with its first `dims` channels rotated (https://arxiv.org/abs/2104.09864), as mlx_fast_rope does: `traditional`
 * pairs channels 2i and 2i + 1, else i and i + dims / 2. Exactly one of base and freqs (periods [dims / 2]) is given; row l
 * stands at position (offset + l) * scale.
 */
int exo_rope(
    mlx_array* res,
    const mlx_array x,
    int dims,
    bool traditional,
    mlx_optional_float base,
    float scale,
    int offset,
    const mlx_array freqs /* may be null */,
    const mlx_stream s);

/**
 * softmax(scale * q k^T) v: q [B, Hq, L, D], k [B, Hkv, S, D], v [B, Hkv, S, Dv]; query head h reads head h / (Hq / Hkv). k and v
 * may be of another type than q, or rows of exo_pack_rows: where few queries (16 of a key's heads and positions) meet such of a
 * multiple of 32 values, the set avx512 rounds queries, and weights before they are mixed, to 16-bit integers with a scale for each
 * 32 values, and for 64 keys; this is some hundredth of what the rows themselves are off by. The scores are never held as a whole. `mask` 0: every key is seen, 1:
 * row l sees keys up to S - L + l. `mask_array` (then mask must be 0): boolean, broadcastable to [B, Hq, L, S], true = sees.
 */
int exo_attention(
    mlx_array* res,
    const mlx_array q,
    const mlx_array k,
    const mlx_array v,
    float scale,
    int mask,
    const mlx_array mask_array /* may be null */,
    const mlx_stream s);

/**
 * One new token of each of `count` sequences, in one step: q [count, .., Hq * D] and k [count, .., Hkv * D] (however shaped:
 * their elements in row-major order) are rotated as by exo_rope, k and v are written into each sequence's cache, and the token
 * attends to what that holds then: [count, 1, Hq * Dv]. `caches` are each sequence's keys and values in turn, [1, Hkv, S, D] of
 * any float type or of exo_pack_rows; they are WRITTEN INTO when this is computed, so no one else may hold their memory.
 * `places` are three numbers for each sequence: the token's position, the row that is written, and how many rows are seen then.
 * dims 0: no rotation.
 */
int exo_cached_attention(
    mlx_array* res,
    const mlx_array q,
    const mlx_array k,
    const mlx_array v,
    const mlx_array* caches,
    const int* places,
    size_t count,
    float scale,
    int dims,
    bool traditional,
    mlx_optional_float base,
    float rope_scale,
    const mlx_array freqs /* may be null */,
    const mlx_stream s);

/**
 * What a layer does between two sums of the residual while tokens are decoded, as one node each: the same bits as the operations
 * above one after another, without the way through the graph between them. Both begin with x + y (or x, where y is null), which is
 * `sum`, and its norm with `eps`; `made` is what is added next. `arrays` are the norm's weight and then each weight [rows, columns]
 * as what exo_quantized_linear takes (weight, scales, for affine ones biases; of dense ones the weight alone) and its bias [rows]
 * where it has one. `packings` are four numbers for each weight: bits (0: dense), group size, the mode (0 affine, 1 mxfp4, 2 mxfp8,
 * 3 nvfp4), and whether there is a bias. x, y, norms and biases are float32. Where the shapes, types or packings are others, both
 * results stay as they are and the status is 0: whoever asks makes the operations one by one.
 *
 * exo_gated_step: down(silu(gate n) * (up n)) of the norm n, for the weights gate, up and down.
 */
int exo_gated_step(
    mlx_array* sum,
    mlx_array* made,
    const mlx_array x,
    const mlx_array y /* may be null */,
    const mlx_array* arrays,
    const int* packings,
    float eps,
    const mlx_stream s);

/**
 * The same for the weights q, k, v and out: out(exo_cached_attention(q n, k n, v n)). In `arrays` there follow the norms of each
 * head's q and k (with `head_eps`; or one null) and the caches of `count` sequences; the rest is as in exo_cached_attention.
 */
int exo_attention_step(
    mlx_array* sum,
    mlx_array* made,
    const mlx_array x,
    const mlx_array y /* may be null */,
    const mlx_array* arrays,
    const int* packings,
    float eps,
    float head_eps,
    const int* places,
    size_t count,
    float scale,
    int dims,
    bool traditional,
    mlx_optional_float base,
    float rope_scale,
    const mlx_array freqs /* may be null */,
    const mlx_stream s);

/**
 * Rows x [.., D] in a byte a value, for caches: uint8 [.., D + 2 * ceil(D / 32)]. Of each 32 values the nearest multiples of a
 * scale, plus 128; after them the scales as bfloat16.
 */
int exo_pack_rows(
    mlx_array* res,
    const mlx_array x,
    const mlx_stream s);

/**
 * From now on the operations of this header that this thread makes are computed by this thread as they are made, where all that
 * they read is there already; otherwise they wait for an evaluation as ever. Results are the same. For steps that are over sooner
 * than one thread hands a graph to another and is woken by it.
 */
void exo_at_once(bool on);

/** x without an axis of length one, as mlx_squeeze_axis. */
int exo_squeeze(
    mlx_array* res,
    const mlx_array x,
    int axis,
    const mlx_stream s);

/**
 * The instruction set the kernels use: "avx512" (with VNNI where the processor has that), "avx512f" (without), "avxvnni", "avx2",
 * "neon" (with dot products), "neonf" (without) or "portable". EXO_CPU_KERNELS chooses a lower one; with "mlx" this is "mlx", and
 * who builds graphs should use MLX's own operations instead.
 */
const char* exo_kernel_path(void);

/**
 * What is wrong with EXO_CPU_KERNELS or EXO_THREADS, or null: a sentence, a line break, what to do. A setting that cannot be used
 * is otherwise as if it were not there. Valid until the next call on this thread.
 */
const char* exo_kernel_problem(void);

/** Threads of the kernels' pool, the calling one included: EXO_THREADS, or one for each core that this process may use. */
size_t exo_kernel_threads(void);

#ifdef __cplusplus
}
#endif

#endif
