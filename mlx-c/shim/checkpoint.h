/* Tensors out of files: byte ranges become arrays, without a copy where the machine allows it. */
#ifndef EXO_CHECKPOINT_H
#define EXO_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mlx/c/array.h"

#ifdef __cplusplus
extern "C" {
#endif

/** An open file. It may be freed before the arrays made from it. */
typedef struct exo_file_ {
  void* ctx;
} exo_file;

int exo_file_open(exo_file* res, const char* path);
int exo_file_free(exo_file file);

/**
 * An array whose bytes are those of `spans`, one after the other.
 * A span is five numbers: index into `files`, first byte, bytes of one piece, number of pieces, bytes from one piece's
 * start to the next one's. One span of one piece, large and aligned to the element, is mapped: its pages are read when
 * first used and shared with the page cache. Everything else is read into memory of its own.
 */
int exo_file_array(
    mlx_array* res,
    const exo_file* files,
    size_t files_num,
    const int64_t* spans,
    size_t spans_num,
    const int* shape,
    size_t shape_num,
    mlx_dtype dtype);

#ifdef __cplusplus
}
#endif

#endif
