/** How long a pass may take before it counts as lost: a stage is stuck then, or a link lost what it was given. */

/** What is known of a pass that is under way. */
export interface Awaited {
  /** Part of a prompt; else the next token of answers. */
  readonly isChunk: boolean;
  readonly tokens: number;
}

/** Before any has come back: longer than reading all weights from a slow disk, or a whole chunk on a slow CPU. */
const FIRST_STEP_MS = 60_000;
const FIRST_CHUNK_MS = 300_000;
/** A pass that takes so many times what others took does not come back. */
const TIMES = 20;
/** A machine that is busy with something else stands still for so long without being lost. */
const LEAST_MS = 10_000;
/** A slow pass is forgotten by this factor with each that comes back: the first ones read weights from the disk. */
const KEPT = 0.9;

export class Patience {
  /** What one took lately: steps as a whole, chunks per token. */
  #stepMs: number | undefined;
  #chunkTokenMs: number | undefined;

  /** One came back after so long. */
  came({ isChunk, tokens }: Awaited, tookMs: number): void {
    // One without tokens says nothing of those that have some.
    if (isChunk && tokens > 0)
      this.#chunkTokenMs = Math.max(tookMs / tokens, (this.#chunkTokenMs ?? 0) * KEPT);
    if (!isChunk) this.#stepMs = Math.max(tookMs, (this.#stepMs ?? 0) * KEPT);
  }

  /** How long to wait where these are under way; undefined where none is. */
  of(awaited: Iterable<Awaited>): number | undefined {
    const each = [...awaited].map(({ isChunk, tokens }) =>
      isChunk ? this.#chunkMs(tokens) : this.#ofStepMs(),
    );
    return each.length === 0 ? undefined : Math.max(...each);
  }

  #chunkMs(tokens: number): number {
    const usual = this.#chunkTokenMs;
    return usual === undefined ? FIRST_CHUNK_MS : Math.max(LEAST_MS, TIMES * usual * tokens);
  }

  #ofStepMs(): number {
    const usual = this.#stepMs;
    return usual === undefined ? FIRST_STEP_MS : Math.max(LEAST_MS, TIMES * usual);
  }
}
