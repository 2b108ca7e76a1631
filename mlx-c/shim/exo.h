/* Our additions to mlx-c, in its style: results through a pointer, 0 = ok, 1 = error with its text in exo_last_error(). */
#ifndef EXO_H
#define EXO_H

#include <stddef.h>
#include <stdint.h>

#include "mlx/c/array.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Rises when a function here changes its meaning or arguments; the caller refuses a library with another number. */
#define EXO_ABI 1

/** The number EXO_ABI the library was built with. */
int exo_abi(void);

/** {"abi":1,"mlx":"0.32.2","mlxC":"0.7.0"}; lives as long as the library. */
const char* exo_versions(void);

/**
 * Text of the last error of any mlx_ or exo_ function on this thread since exo_clear_error, or null. Taken as it is,
 * never as a format, without build paths. Belongs to the library; valid until the next error or clear on this thread.
 */
const char* exo_last_error(void);
void exo_clear_error(void);

/** Frees `count` arrays in one call; null handles are skipped. The caller forgets them all. */
int exo_free_arrays(const mlx_array* arrays, size_t count);

/** Array handles made and not yet freed, on all threads. */
int64_t exo_live_arrays(void);

/**
 * Gives the system back what the C library keeps of freed memory, where it is one that has to be asked (glibc). It takes
 * some milliseconds: for a process that comes to rest. 1 if anything went back, else 0.
 */
int exo_trim_memory(void);

/**
 * Zeros, there at once; where they take 64 KiB or more, side by side with others in large pages: for what is written bit by bit and
 * read front to back again and again.
 */
int exo_zeros(mlx_array* res, const int* shape, size_t shape_num, mlx_dtype dtype);

/**
 * Evaluates `array` and copies its elements, row-major, in its own element type, to `out`. Error if they do not take exactly
 * `bytes` bytes.
 */
int exo_read(const mlx_array array, void* out, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
