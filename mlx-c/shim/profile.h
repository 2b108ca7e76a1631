/* Where the time of the CPU streams goes, by operation: for benches. Off until asked for. */
#ifndef EXO_PROFILE_H
#define EXO_PROFILE_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Begins to count anew, or stops. While it counts, an operation takes some 0.3 us longer. */
void exo_profile(bool on);

/**
 * What was counted: a line an operation, "name count nanoseconds waited". The name says rows x columns of the result; `waited` is
 * the time on the same stream between the operation before and this one: what MLX's own operations and the handing over of work
 * take. Belongs to the library until the next call.
 */
const char* exo_profile_report(void);

#ifdef __cplusplus
}
#endif

#endif
