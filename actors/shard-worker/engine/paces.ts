/** How long steps take: the last few of each kind are kept, and their medians told. */
import type { Pace, StepTime } from "#protocol/speeds";

export type StepKind = Omit<StepTime, "ms" | "depth">;

/** Times kept of one kind: enough that a disturbed one does not count. */
const KEPT = 32;
/** Kinds kept: decoding of 1, 2, 4 and 8 answers and prompts of 64 to 512 tokens, as a worker has them to two ends at most. */
const KINDS_MAX = 16;
/** Other numbers of answers say nothing that these do not. */
const DECODED = [1, 2, 4, 8];
/** The longest that is told by itself. */
const PROMPT_MAX = 512;
/** A chunk that is shorter is no prompt of the usual kind. */
const PROMPT_MIN = 64;

interface Times {
  readonly ms: number[];
  readonly depths: number[];
}

export class Paces {
  readonly #nowMs: () => number;
  readonly #kinds = new Map<string, { readonly kind: StepKind; readonly times: Times }>();
  /** Steps noted since they were last told. */
  fresh = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Does `work`, which is over when it returns, and notes how long it took. */
  timed<Result>(kind: StepKind, depth: number, work: () => Result): Result {
    const startedMs = this.#nowMs();
    const result = work();
    this.note(kind, depth, this.#nowMs() - startedMs);
    return result;
  }

  note(step: StepKind, depth: number, took: number): void {
    if (step.kind === "decode" ? !DECODED.includes(step.rows) : step.rows < PROMPT_MIN) return;
    // Prompts have any number of tokens: each would be a kind, and soon there were no room for steps of answers.
    const rows =
      step.kind === "decode" ? step.rows : 2 ** Math.floor(Math.log2(Math.min(step.rows, PROMPT_MAX)));
    const [kind, ms] = [{ ...step, rows }, (took * rows) / step.rows];
    const key = `${kind.kind} ${kind.rows} ${kind.until}`;
    const known = this.#kinds.get(key);
    if (!known && this.#kinds.size >= KINDS_MAX) return;
    const times = known?.times ?? { ms: [], depths: [] };
    if (!known) this.#kinds.set(key, { kind, times });
    times.ms.push(ms);
    times.depths.push(depth);
    if (times.ms.length > KEPT) {
      times.ms.shift();
      times.depths.shift();
    }
    this.fresh += 1;
  }

  /** Forgets all that is kept. */
  clear(): void {
    this.#kinds.clear();
  }

  /** All that is kept, of `layers`. */
  told(layers: Pace["layers"]): Pace {
    this.fresh = 0;
    const steps = [...this.#kinds.values()].map(({ kind, times: { ms, depths } }) => ({
      ...kind,
      depth: Math.round(depths.reduce((sum, each) => sum + each, 0) / depths.length),
      ms: median(ms),
    }));
    return { layers: { ...layers }, steps };
  }
}

function median(all: readonly number[]): number {
  const sorted = all.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
