/** What one seed's run of a simulation came to. */
export interface Storm {
  readonly seed: number;
  /** What should never have been; empty is good. */
  readonly violations: readonly string[];
  /** Of every message, state and fault with its time: the same run has the same. */
  readonly digest: string;
  readonly virtualMs: number;
  /** Of that, in bad weather and the healing after it; absent: all. */
  readonly stormMs?: number;
  /** Changes that were confirmed: a run that did nothing proves nothing. */
  readonly did: number;
}
