/** Tokens that went through the model, with the keys and values they left behind. */
import type { Mlx } from "#ffi/array";
import type { Cache } from "../cache/cache.ts";
import type { Model, Wanted } from "../models/model.ts";

export class Sequence {
  readonly #mlx: Mlx;
  readonly #model: Model;
  readonly #caches: readonly Cache[];
  readonly #tokens: number[];

  constructor(
    mlx: Mlx,
    model: Model,
    caches: readonly Cache[] = model.caches(),
    tokens: readonly number[] = [],
  ) {
    this.#mlx = mlx;
    this.#model = model;
    this.#caches = caches;
    this.#tokens = [...tokens];
  }

  /** What the caches hold. */
  get tokens(): readonly number[] {
    return this.#tokens;
  }

  get nbytes(): number {
    return this.#caches.reduce((sum, cache) => sum + cache.nbytes, 0);
  }

  /** Fills the caches with these tokens; nothing beyond that is computed. */
  prefill(tokens: readonly number[]): void {
    this.#run(tokens, "hidden");
  }

  /** Feeds the tokens; logits [vocabulary] after the last of them. */
  next(tokens: readonly number[]): Float32Array {
    return this.#run(tokens, "last");
  }

  /** Feeds the tokens; logits after each of them, row by row. */
  all(tokens: readonly number[]): Float32Array {
    return this.#run(tokens, "all");
  }

  /** Whether the first `length` tokens can be had alone. */
  canCut(length: number): boolean {
    const count = this.#tokens.length - length;
    return count >= 0 && this.#caches.every((cache) => cache.canTrim(count));
  }

  /** Forgets all but the first `length` tokens. */
  cut(length: number): void {
    const count = this.#tokens.length - length;
    for (const cache of this.#caches) cache.trim(count);
    this.#tokens.length = length;
  }

  /** A sequence of the first `length` tokens; memory is shared until one of the two goes on. */
  fork(length: number): Sequence {
    const caches = this.#caches.map((cache) => cache.fork(length));
    return new Sequence(this.#mlx, this.#model, caches, this.#tokens.slice(0, length));
  }

  dispose(): void {
    for (const cache of this.#caches) cache.dispose();
    this.#tokens.length = 0;
  }

  /** After an error the caches are good for nothing but `dispose`. */
  #run(tokens: readonly number[], wanted: Wanted): Float32Array {
    const values = this.#mlx.scope((keep) => {
      const { output, held } = this.#graph(tokens, wanted);
      keep(held);
      if (output) return output.toFloat32();
      this.#mlx.eval(held);
      return NOTHING;
    });
    for (const token of tokens) this.#tokens.push(token);
    if (wanted !== "last" || this.#tokens.length % STEPS_PER_CLEARING === 0) this.#mlx.clearCache();
    return values;
  }

  /**
   * The step as a graph, of which nothing is computed yet. Its scope ends here, so that no handle is left on what lies
   * between the layers: MLX frees that, or writes over it, as soon as the next operation is done.
   */
  #graph(tokens: readonly number[], wanted: Wanted) {
    return this.#mlx.scope(() => {
      const input = this.#mlx.fromInt32(Int32Array.from(tokens), [1, tokens.length]);
      const output = this.#model.forward(input, this.#caches, wanted);
      const held = this.#caches.flatMap((cache) => cache.arrays());
      return { held, output: wanted === "hidden" ? undefined : output };
    });
  }
}

/** MLX keeps freed buffers for arrays of the same size; chunks of a prompt and a growing cache leave ever new sizes. */
const STEPS_PER_CLEARING = 256;

const NOTHING = new Float32Array(0);
