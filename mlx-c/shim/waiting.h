/* Waiting for another process without a turn of the caller's event loop: for ranks, which need each other's sums within a step. */
#ifndef EXO_WAITING_H
#define EXO_WAITING_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Waits up to `milliseconds` until the descriptor can be read (or its other end is closed), or can be written where `write` is
 * true. 1 if it can be, 0 if not or if a signal came first. With 0 milliseconds whoever else is ready for this core has it first, and
 * nothing is waited for.
 */
int exo_wait_for(int descriptor, bool write, int milliseconds);

#ifdef __cplusplus
}
#endif

#endif
