/** When a model is held in memory and nobody needs it, so that another may have its room. */

export interface IdleRule {
  /** Without a request for so long. */
  readonly afterMs: number;
  /** Models that are kept whatever comes, by the names that they are shown by. */
  readonly kept: readonly string[];
}

/** `10 min`, `45 s`: how long nobody asked. */
export function shownIdle(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
}
