/*
 * Passes over one row of logits, by the kernels' threads: of the caller's memory, at once, not of arrays in a graph. Choosing a
 * token needs a few numbers of each row, and changes some of the row before (penalties), which is done where the row lies.
 */
#ifndef EXO_KERNELS_VOCABULARY_H
#define EXO_KERNELS_VOCABULARY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Index of the first that is NaN or infinity; else of the first of the largest; `count` where all are -infinity. */
size_t exo_logits_best(const float* logits, size_t count);

/** Logits of a run; sums of runs, added in their order, are the same for any number of threads. */
#define EXO_LOGITS_RUN 1024

/**
 * sums[r] = sum of exp((logit - largest) / temperature) over run r, in double: at least count / EXO_LOGITS_RUN of them, rounded
 * up. `largest` is the largest logit, temperature > 0.
 */
void exo_logits_sums(const float* logits, size_t count, double largest, double temperature, double* sums);

/** Indices of those that are at least `least`, rising, up to `room` of them. Returns how many there are in all. */
size_t exo_logits_at_least(const float* logits, size_t count, double least, uint32_t* ids, size_t room);

/** Indices of the `wanted` largest, falling, of equals the first first: for few. Returns how many, at most `count`. */
size_t exo_logits_top(const float* logits, size_t count, size_t wanted, uint32_t* ids);

#ifdef __cplusplus
}
#endif

#endif
