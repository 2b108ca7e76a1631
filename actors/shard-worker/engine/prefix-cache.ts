/**
 * Finished sequences kept for the next request that begins alike: the next turn of a chat, another answer to the same
 * prompt. The one used longest ago goes first.
 */
import { MANY_TOKENS } from "../models/rows-alike.ts";
import type { Limits } from "./limits.ts";
import type { TokenSequence } from "./sequence.ts";
import type { Strides } from "./strides.ts";

/** A shorter common beginning (a start token, a role marker) is not worth a copy, and was computed as few tokens are. */
const REUSED_TOKENS_MIN = MANY_TOKENS;

type CacheLimits = Pick<Limits, "prefixEntriesMax" | "prefixBytesMax" | "chunksAlike">;

export class PrefixCache {
  readonly #limits: CacheLimits;
  /** Longest unused first. */
  readonly #kept: TokenSequence[] = [];

  constructor(limits: CacheLimits) {
    this.#limits = limits;
  }

  get nbytes(): number {
    return this.#kept.reduce((sum, sequence) => sum + sequence.nbytes, 0);
  }

  get size(): number {
    return this.#kept.length;
  }

  /**
   * A sequence that holds the longest known beginning of `prompt`, now the caller's. `others` are in use elsewhere and
   * only copied from. A kept one is handed over if the prompt goes on from most of it, else copied.
   */
  take(prompt: Sought, others: readonly TokenSequence[]): TokenSequence | undefined {
    const { sequence, length } = this.#longest(prompt, others);
    if (!sequence) return undefined;
    const at = this.#kept.indexOf(sequence);
    if (at < 0) return sequence.fork(length);
    this.#kept.splice(at, 1);
    if (length * 2 < sequence.tokens.length) {
      this.#kept.push(sequence);
      return sequence.fork(length);
    }
    sequence.cut(length);
    return sequence;
  }

  /** How much of `prompt` a `take` would find. */
  find(prompt: Sought, others: readonly TokenSequence[]): number {
    return this.#longest(prompt, others).length;
  }

  /** Takes a sequence over. */
  put(sequence: TokenSequence): void {
    const { tokens } = sequence;
    const known = this.#kept.some((kept) => commonLength(kept.tokens, tokens) === tokens.length);
    if (known || tokens.length < REUSED_TOKENS_MIN || sequence.nbytes > this.#limits.prefixBytesMax) {
      sequence.dispose();
      return;
    }
    for (const kept of [...this.#kept]) {
      if (commonLength(kept.tokens, tokens) === kept.tokens.length) this.#drop(kept);
    }
    this.#kept.push(sequence);
    while (this.#kept.length > this.#limits.prefixEntriesMax || this.nbytes > this.#limits.prefixBytesMax) {
      const [oldest] = this.#kept;
      if (!oldest) return;
      this.#drop(oldest);
    }
  }

  clear(): void {
    for (const sequence of this.#kept.splice(0)) sequence.dispose();
  }

  #drop(sequence: TokenSequence): void {
    this.#kept.splice(this.#kept.indexOf(sequence), 1);
    sequence.dispose();
  }

  #longest(prompt: Sought, others: readonly TokenSequence[]) {
    let sequence: TokenSequence | undefined;
    let length = REUSED_TOKENS_MIN - 1;
    for (const candidate of [...this.#kept, ...others]) {
      const reusable = this.#usable(prompt, candidate);
      if (reusable > length && candidate.canCut(reusable)) {
        sequence = candidate;
        length = reusable;
      }
    }
    return { sequence, length: sequence ? length : 0 };
  }

  /** How much of a sequence leaves the bits that the prompt, or what is known of how it went, leaves. */
  #usable({ tokens, strides }: Sought, candidate: TokenSequence): number {
    const length = reusableLength(tokens, candidate.tokens);
    const { chunksAlike } = this.#limits;
    // Few tokens by themselves are computed otherwise than among many: neither what is left nor what is taken of a chunk may be few.
    const rest = tokens.length - 1 - length;
    const most = strides
      ? strides.fewerAt(Math.min(length, candidate.strides.inCommon(strides, chunksAlike)))
      : length - (rest > 0 ? Math.max(0, MANY_TOKENS - rest) : 0);
    const end = candidate.strides.cutAt(most, chunksAlike);
    // What cannot be cut serves as a whole: how it went is told.
    const isWhole = !strides && length === candidate.tokens.length && !candidate.canCut(end);
    return isWhole ? length : end;
  }
}

/** What a sequence is looked for that begins like it. */
export interface Sought {
  readonly tokens: readonly number[];
  /** How they went through the model before, and have to again. */
  readonly strides?: Strides | undefined;
}

/** The last token of a prompt always runs again: the answer begins with its logits. */
export const reusableLength = (prompt: readonly number[], tokens: readonly number[]): number =>
  Math.min(commonLength(prompt, tokens), prompt.length - 1);

function commonLength(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  for (let i = 0; i < most; i++) if (a[i] !== b[i]) return i;
  return most;
}
