/* What MLX's groups of processes (mlx/c/distributed.h) need besides: their settings, another group later, and an end to waiting. */
#ifndef EXO_COLLECTIVES_H
#define EXO_COLLECTIVES_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Sets a variable of this process's environment as C sees it, where MLX looks for its rank, devices and coordinator when a group is
 * made; an empty value takes it away.
 */
int exo_set_variable(const char* name, const char* value);

/** The groups made so far are no more, once their handles are freed: the next mlx_distributed_init reads its settings anew. */
int exo_forget_groups(void);

/**
 * Ends this process after so many milliseconds, with `why` as its last line on stderr and EXO_DEADLINE_STATUS, unless it is called
 * again before: with another time, or with 0 for never. No backend of MLX gives up waiting for a rank that is gone, and whoever waits
 * is inside of it: a process of its own and its end are the only way out. One deadline at a time.
 */
int exo_deadline(int milliseconds, const char* why);

/** sysexits.h: EX_TEMPFAIL. */
#define EXO_DEADLINE_STATUS 75

#ifdef __cplusplus
}
#endif

#endif
