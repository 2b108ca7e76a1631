/** What one request showed. Times are milliseconds since the start of its run. */

export interface Sample {
  /** When it was to be sent; later sending is latency too. */
  readonly scheduledMs: number;
  readonly sentMs: number;
  /** First piece that bears a token, whether thought or answered. */
  readonly firstMs?: number;
  readonly firstReasoningMs?: number;
  readonly firstAnswerMs?: number;
  readonly endMs: number;
  /** Each piece that bears tokens: milliseconds after the one before (the first: after `sentMs`), and its tokens. */
  readonly pieces: readonly Piece[];
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** What the target says it waited before it began; absent where it does not say. */
  readonly queueMs?: number;
  readonly finish?: string;
  /** Why it failed; such a request counts as a failure and in no latency. */
  readonly error?: string;
}

export type Piece = readonly [gapMs: number, tokens: number];

/** One measured run of one cell. */
export interface Run {
  readonly repeat: number;
  /** From the run's start: tokens that came in it count for the system's rate. */
  readonly windowMs: number;
  readonly samples: readonly Sample[];
}
