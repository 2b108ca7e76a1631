/**
 * Finished sequences kept for the next request that begins alike: the next turn of a chat, another answer to the same
 * prompt. The one used longest ago goes first.
 */
import type { Limits } from "./limits.ts";
import type { TokenSequence } from "./sequence.ts";

/** A shorter common beginning (a start token, a role marker) is not worth a copy. */
const REUSED_TOKENS_MIN = 16;

export class PrefixCache {
  readonly #limits: Pick<Limits, "prefixEntriesMax" | "prefixBytesMax">;
  /** Longest unused first. */
  readonly #kept: TokenSequence[] = [];

  constructor(limits: Pick<Limits, "prefixEntriesMax" | "prefixBytesMax">) {
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
  take(prompt: readonly number[], others: readonly TokenSequence[]): TokenSequence | undefined {
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
  find(prompt: readonly number[], others: readonly TokenSequence[]): number {
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

  #longest(prompt: readonly number[], others: readonly TokenSequence[]) {
    let sequence: TokenSequence | undefined;
    let length = REUSED_TOKENS_MIN - 1;
    for (const candidate of [...this.#kept, ...others]) {
      const reusable = reusableLength(prompt, candidate.tokens);
      if (reusable > length && candidate.canCut(reusable)) {
        sequence = candidate;
        length = reusable;
      }
    }
    return { sequence, length: sequence ? length : 0 };
  }
}

/** The last token of a prompt always runs again: the answer begins with its logits. */
export const reusableLength = (prompt: readonly number[], tokens: readonly number[]): number =>
  Math.min(commonLength(prompt, tokens), prompt.length - 1);

function commonLength(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  for (let i = 0; i < most; i++) if (a[i] !== b[i]) return i;
  return most;
}
