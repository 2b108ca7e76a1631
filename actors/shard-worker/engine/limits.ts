/** How much one engine takes on. */
export interface Limits {
  /** Tokens of prompt and answer together; the model's own maximum where absent, and never more than that. */
  readonly contextLength?: number;
  /** Requests computed in turns: each holds a KV cache, and each slows the others. */
  readonly activeMax: number;
  /** Requests waiting beyond those; a longer queue would outlast its clients' patience. */
  readonly queuedMax: number;
  /** Prompt tokens per unit of work: large enough for matrix products, small enough that a cancel is heard. */
  readonly prefillChunk: number;
  /** As `prefillChunk`, where several machines compute one after the other: the last waits for the first chunk, the first for the last. */
  readonly prefillChunkStaged: number;
  /** The fewest while others' answers wait: fewer would read all weights for little. */
  readonly prefillChunkMin: number;
  /** Where a chunk ends leaves no trace; else each is told of, computed again with the same tokens, and never taken over in part. */
  readonly chunksAlike: boolean;
  /**
   * Tokens of an answer that another worker began which go through the model at once: as many as are computed with the very bits
   * of one at a time, so that the answer goes on as it would have.
   */
  readonly replayRows: number;
  /** So many of them are, unless they take `replayMsMax`. */
  readonly replayTokens: number;
  /** After so much computing, at the pace of the quickest of them, the rest is computed like a prompt: sooner, but maybe with other last bits. */
  readonly replayMs: number;
  /** After so much also where they are few: a reader of a slow model waits for minutes else, and sees nothing. */
  readonly replayMsMax: number;
  /** How long others' next tokens may wait for prompts, all of them together: a reader still sees a text that flows. */
  readonly prefillSharedMs: number;
  /** Finished sequences whose keys and values are kept for the next request that begins alike. */
  readonly prefixEntriesMax: number;
  /** Memory those may hold together, on all machines of a model. */
  readonly prefixBytesMax: number;
}

const DEFAULT_LIMITS: Limits = {
  activeMax: 8,
  queuedMax: 64,
  prefillChunk: 512,
  prefillChunkStaged: 128,
  prefillChunkMin: 48,
  chunksAlike: true,
  replayRows: 1,
  replayTokens: 256,
  replayMs: 2_000,
  replayMsMax: 30_000,
  prefillSharedMs: 200,
  prefixEntriesMax: 4,
  prefixBytesMax: 1024 ** 3,
};

/** Limits as an engine keeps them. */
export interface OwnLimits extends Limits {
  /** The longest chunk that is computed as another worker computed it: as long as one machine has them, wherever this is. */
  readonly toldChunk: number;
}

/** The default where nothing is said, within what a computer takes at once. */
export function limitsOf(
  asked: Partial<Limits> | undefined,
  { stages, rowsMax }: { readonly stages: number; readonly rowsMax: number },
): OwnLimits {
  const limits = { ...DEFAULT_LIMITS, ...asked };
  const toldChunk = Math.min(limits.prefillChunk, rowsMax);
  const prefillChunk = stages > 1 ? Math.min(limits.prefillChunkStaged, toldChunk) : toldChunk;
  // NaN among them, as of a model without a width, would make chunks of nothing without end.
  for (const [name, value] of Object.entries({ prefillChunk, replayRows: limits.replayRows }))
    if (!(value >= 1)) throw new Error(`a limit of ${value} tokens (${name})`);
  return { ...limits, prefillChunk, toldChunk };
}

/** Tokens of prompt and answer that a request may have: what is asked for, within what the model was made for. */
export function contextLengthOf(
  { contextLength: longest = CONTEXT_LENGTH_UNKNOWN }: { readonly contextLength?: number | undefined },
  { contextLength: asked = longest }: { readonly contextLength?: number | undefined } = {},
): number {
  return Math.min(asked, longest);
}

/** Where neither config nor caller names a limit, as transformers has it. */
const CONTEXT_LENGTH_UNKNOWN = 2048;
