/** How much of a prompt and of the answer so far goes through the model at once: as it did at first, where anybody knows. */
import type { Stride } from "#protocol/generation";
import { MANY_TOKENS, PIECES_CHANGE } from "../models/rows-alike.ts";
import type { OwnLimits } from "./limits.ts";
import { Strides } from "./strides.ts";

export type CourseLimits = Pick<
  OwnLimits,
  | "prefillChunk"
  | "prefillChunkMin"
  | "toldChunk"
  | "chunksAlike"
  | "replayRows"
  | "replayTokens"
  | "replayMs"
  | "replayMsMax"
>;

/** Scoring a prompt needs the logits of every position at once; this bounds their memory (64 x 150,000 x 4 B = 38 MB). */
const SCORED_CHUNK = 64;

const FRESH = { tokens: 0, tokenMs: Number.POSITIVE_INFINITY };

/** The next tokens. */
export interface Next {
  readonly count: number;
  /** They went one at a time when they were first computed. */
  readonly isReplay: boolean;
}

export interface Asked {
  readonly start: number;
  /** Where what is known ends. */
  readonly end: number;
  readonly isScored: boolean;
  /** How long it may take; as long as it likes where not said. */
  readonly unitMs: number | undefined;
}

export class Course {
  /** Tokens of the prompt that are computed as such: its last is the first of those that give the answer. */
  readonly #prompt: number;
  readonly #limits: CourseLimits;
  /** How they went when the answer began. */
  #strides: Strides | undefined;
  /** What the last chunk took, per token. */
  #tokenMs = Number.POSITIVE_INFINITY;
  /** What went one at a time and went again: how many, and what one took at the quickest. */
  #replayed = FRESH;

  /** `prompt`: all tokens of it. */
  constructor(prompt: number, limits: CourseLimits) {
    this.#prompt = prompt - 1;
    this.#limits = limits;
  }

  /** Another worker has begun the answer: `told` is how the prompt went there, or as anybody computes it where not said. */
  resume(told: readonly Stride[] | undefined): void {
    const strides = new Strides(told).first(this.#prompt);
    strides.add(this.#prompt - strides.length);
    this.#strides = strides;
  }

  /** The answer begins here. Answers how the prompt went, if that has to be told. */
  begin(strides: Strides): readonly Stride[] | undefined {
    this.#strides ??= strides.first(this.#prompt);
    return this.#strides.isUsual(this.#limits.chunksAlike) ? undefined : this.#strides.list;
  }

  /** How so many tokens of prompt and answer have to go; undefined while that is free. */
  wanted(tokens: number): Strides | undefined {
    const strides = this.#strides?.first(this.#prompt);
    strides?.add(1, tokens - strides.length);
    return strides;
  }

  next({ start, end, isScored, unitMs }: Asked): Next {
    const { replayRows, chunksAlike } = this.#limits;
    const isPrompt = start < this.#prompt;
    const step = isPrompt ? this.#strides?.at(start) : undefined;
    const pieces = PIECES_CHANGE - (start % PIECES_CHANGE);
    const until = Math.min(step?.until ?? end, isPrompt ? this.#prompt : end);
    const free = (to: number): Next => ({
      count: this.#chunk(to - start, isScored, unitMs),
      isReplay: false,
    });
    if (this.#isLate) return free(end);
    if (step ? step.isSingle : !isPrompt)
      return { count: Math.min(replayRows, pieces, until - start), isReplay: true };
    if (!step || (chunksAlike && until - start >= MANY_TOKENS)) return free(until);
    return { count: Math.min(step.rows, until - start, this.#limits.toldChunk), isReplay: false };
  }

  /** The rest goes sooner, whatever bits it leaves. */
  get #isLate(): boolean {
    const { replayTokens, replayMs, replayMsMax } = this.#limits;
    const { tokens, tokenMs } = this.#replayed;
    const ms = tokens > 0 ? tokens * tokenMs : 0;
    return ms >= replayMsMax || (tokens >= replayTokens && ms >= replayMs);
  }

  /** So many tokens went through the model. */
  took({ count, isReplay }: Next, ms: number): void {
    if (count > 0) this.#tokenMs = ms / count;
    if (!isReplay || count === 0) return;
    // Waiting does not count: for other requests' turns, for machines that have just loaded their layers, or for one that stood still.
    const { tokens, tokenMs } = this.#replayed;
    this.#replayed = { tokens: tokens + count, tokenMs: Math.min(tokenMs, ms / count) };
  }

  /** All of it goes once more. */
  restart(): void {
    this.#replayed = FRESH;
  }

  /** Of so many left as many as `unitMs` allows at the pace of the chunk before, the fewest while that is unknown. */
  #chunk(left: number, isScored: boolean, unitMs: number | undefined): number {
    const { prefillChunk, prefillChunkMin } = this.#limits;
    const longest = isScored ? Math.min(SCORED_CHUNK, prefillChunk) : prefillChunk;
    // Also where compiled code made NaN of undefined, as it does (patience.ts).
    const isPaced = unitMs !== undefined && unitMs >= 0;
    const paced = isPaced ? Math.max(prefillChunkMin, Math.floor(unitMs / this.#tokenMs)) : longest;
    const most = Math.min(longest, paced);
    // Few by themselves are computed otherwise than within a longer chunk.
    const isShortTail = left > most && left < most + MANY_TOKENS && most >= 2 * MANY_TOKENS;
    return isShortTail ? Math.ceil(left / 2) : Math.min(most, left);
  }
}
