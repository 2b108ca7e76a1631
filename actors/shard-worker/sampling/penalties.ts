/** Changes to raw logits, before anything is made of them, in the order of mlx-lm. */
import type { Sampling } from "#protocol/generation";

/**
 * Adds the bias, then weighs down what was said before. Repetition (https://arxiv.org/abs/1909.05858) looks at the whole
 * context; presence and frequency, as the OpenAI API has them, at what was generated.
 */
export class Penalties {
  readonly #bias: readonly (readonly [id: number, amount: number])[];
  readonly #repetition: number;
  readonly #presence: number;
  readonly #frequency: number;
  readonly #context = new Set<number>();
  readonly #generated = new Map<number, number>();

  constructor(sampling: Sampling, prompt: readonly number[]) {
    const { logitBias = {}, repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = sampling;
    this.#bias = Object.entries(logitBias).map(([id, amount]) => [Number(id), amount] as const);
    this.#repetition = repetitionPenalty;
    this.#presence = presencePenalty;
    this.#frequency = frequencyPenalty;
    if (repetitionPenalty !== 1) for (const id of prompt) this.#context.add(id);
  }

  /** A token that was generated and now counts as said. */
  said(id: number): void {
    if (this.#repetition !== 1) this.#context.add(id);
    if (this.#presence !== 0 || this.#frequency !== 0) {
      this.#generated.set(id, (this.#generated.get(id) ?? 0) + 1);
    }
  }

  /** Changes `logits` in place. */
  apply(logits: Float32Array): void {
    for (const [id, amount] of this.#bias) logits[id] = (logits[id] ?? 0) + amount;
    for (const id of this.#context) {
      const logit = logits[id] ?? 0;
      logits[id] = logit < 0 ? logit * this.#repetition : Math.min(logit / this.#repetition, FLOAT32_MAX);
    }
    for (const [id, times] of this.#generated) {
      logits[id] = (logits[id] ?? 0) - this.#presence - this.#frequency * times;
    }
  }
}

/** An infinite logit would be taken for a broken model, where only a penalty near 0 was asked for. */
const FLOAT32_MAX = 2 ** 127 * (2 - 2 ** -23);
