/** Tokens that went through the model, with the keys and values they left behind. */
import type { Mlx, MxArray } from "#ffi/array";
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

  /** Feeds one token to each of several sequences of a model in one pass; logits [vocabulary] after each. */
  static nextOfEach(members: readonly Member[]): Float32Array[] {
    const [first] = members;
    if (!first) return [];
    if (members.length === 1) return [first.sequence.next([first.token])];
    const mlx = first.sequence.#mlx;
    const model = first.sequence.#model;
    const caches = members.map(({ sequence }) => sequence.#caches);
    const tokens = Int32Array.from(members, ({ token }) => token);
    const rows = computed(mlx, caches.flat(), () =>
      model.decode(mlx.fromInt32(tokens, [tokens.length, 1]), caches),
    );
    for (const { sequence, token } of members) sequence.#tokens.push(token);
    if (members.some(({ sequence }) => sequence.#tokens.length % STEPS_PER_CLEARING === 0)) mlx.clearCache();
    const size = rows.length / members.length;
    return members.map((_, row) => rows.subarray(row * size, (row + 1) * size));
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

  /** After an error, here or in `nextOfEach`, the caches are good for nothing but `dispose`: empty they may be used again. */
  #run(tokens: readonly number[], wanted: Wanted): Float32Array {
    const mlx = this.#mlx;
    const values = computed(mlx, this.#caches, () => {
      const output = this.#model.forward(
        mlx.fromInt32(Int32Array.from(tokens), [1, tokens.length]),
        this.#caches,
        wanted,
      );
      return wanted === "hidden" ? undefined : output;
    });
    for (const token of tokens) this.#tokens.push(token);
    if (wanted !== "last" || this.#tokens.length % STEPS_PER_CLEARING === 0) mlx.clearCache();
    return values;
  }
}

/** A sequence and the token that is next in it. */
export interface Member {
  readonly sequence: Sequence;
  readonly token: number;
}

/**
 * The values of the graph that `build` makes, or of nothing but the caches where it makes none; these keep what they hold.
 * The graph's scope ends before anything is computed, so that no handle is left on what lies between the layers: MLX frees
 * that, or writes over it, as soon as the next operation is done.
 */
function computed(mlx: Mlx, caches: readonly Cache[], build: () => MxArray | undefined): Float32Array {
  return mlx.scope((keep) => {
    const { held, output } = mlx.scope(() => {
      const made = build();
      return { output: made, held: caches.flatMap((cache) => cache.arrays()) };
    });
    keep(held);
    if (output) return output.toFloat32();
    mlx.eval(held);
    return NOTHING;
  });
}

/** MLX keeps freed buffers for arrays of the same size; chunks of a prompt and a growing cache leave ever new sizes. */
const STEPS_PER_CLEARING = 256;

const NOTHING = new Float32Array(0);
