/**
 * The allocator of Bun (mimalloc) reads its settings from the environment once, when a process begins. By its own it searches for empty
 * parts of pages in use ten times a second: a node at rest, which is woken by a dozen heartbeats a second, spends a third of its
 * work on giving back what it takes again at once.
 */

/** Milliseconds between two searches (mimalloc's `purge_holes_min_interval`). With five seconds some 2 MB more stay, for little less work. */
const [NAME, VALUE] = ["MIMALLOC_PURGE_HOLES_MIN_INTERVAL", "1000"];

/**
 * Begins this program anew, as the same process, with an allocator that searches seldom; where it was begun so, nothing happens but
 * that `environmentOfChildren` leaves it out. Costs some 30 ms. What a user sets of the allocator stays.
 */
export function calmAllocator(words: readonly string[]): void {
  const { env } = process;
  if (env[NAME] === VALUE) {
    delete env[NAME];
    return;
  }
  // Elsewhere it was never tried.
  if (process.platform !== "linux" || Object.keys(env).some((name) => name.startsWith("MIMALLOC_"))) return;
  try {
    process.execve?.(process.execPath, [process.argv0, ...words], { ...env, [NAME]: VALUE });
  } catch {
    // It goes on as it is, with more work at rest.
  }
}

/** As it is now: Bun.spawn by itself gives a child what this process began with. */
export function environmentOfChildren(): Readonly<Record<string, string | undefined>> {
  const { env } = process;
  return env;
}
