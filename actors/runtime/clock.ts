/** Time and fresh ids as a port: the only door to the real clock, so that a simulator can own both. */
export interface Clock {
  /** Milliseconds of a clock that never goes back; its zero is arbitrary. */
  nowMs(): number;
  /** Seconds since 1970, for what users see. */
  epochSeconds(): number;
  /** Runs once after `ms`; the returned function cancels it. */
  after(ms: number, run: () => void): () => void;
  /** A random id of 122 bits, unique across restarts. */
  freshId(): string;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  epochSeconds: () => Math.floor(Date.now() / 1000),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  freshId: () => crypto.randomUUID(),
};
