/** What the layers here hold of one sequence: their keys and values, and of how many tokens these are. */
import type { Mlx, MxArray } from "#ffi/array";
import type { Cache } from "../cache/cache.ts";
import type { Model, Wanted } from "../models/model.ts";

export class Held {
  readonly caches: readonly Cache[];
  #count: number;

  constructor(caches: readonly Cache[], count = 0) {
    this.caches = caches;
    this.#count = count;
  }

  /** Tokens. */
  get count(): number {
    return this.#count;
  }

  get nbytes(): number {
    return this.caches.reduce((sum, cache) => sum + cache.nbytes, 0);
  }

  /** Whether the first `length` tokens can be had alone. */
  canCut(length: number): boolean {
    const over = this.#count - length;
    return over >= 0 && this.caches.every((cache) => cache.canTrim(over));
  }

  /** Forgets all but the first `length` tokens. */
  cut(length: number): void {
    for (const cache of this.caches) cache.trim(this.#count - length);
    this.#count = length;
  }

  /** The first `length` tokens by themselves; memory is shared until one of the two goes on. */
  fork(length: number): Held {
    return new Held(
      this.caches.map((cache) => cache.fork(length)),
      length,
    );
  }

  /** So many tokens went through the layers. */
  grew(tokens: number): void {
    this.#count += tokens;
  }

  dispose(): void {
    for (const cache of this.caches) cache.dispose();
    this.#count = 0;
  }
}

/** The layers here, and the device they are on. */
export interface Layers {
  readonly mlx: Mlx;
  readonly model: Model;
}

/**
 * Runs the next `count` tokens of one sequence through the layers, or one of each of several; `input` makes what goes in, [1, count]
 * or [B, 1] of token ids, or hidden state. What `wanted` asks for, row by row; nothing for "hidden" where the head is here. After an
 * error the caches are good for nothing but `dispose`: empty they may be used again.
 */
export function runLayers(
  { mlx, model }: Layers,
  members: readonly Held[],
  {
    count,
    wanted,
    input,
  }: { readonly count: number; readonly wanted: Wanted; readonly input: () => MxArray },
): Float32Array {
  const [first] = members;
  if (!first) return NOTHING;
  const caches = members.map((held) => held.caches);
  const isKept = model.range.end === model.layers && wanted === "hidden";
  const values = computed(mlx, caches.flat(), () => {
    const output =
      members.length === 1 ? model.forward(input(), first.caches, wanted) : model.decode(input(), caches);
    return isKept ? undefined : output;
  });
  for (const held of members) held.grew(count);
  const isStep = members.length > 1 || (wanted === "last" && count === 1);
  if (!isStep || members.some((held) => held.count % STEPS_PER_CLEARING === 0)) mlx.clearCache();
  return values;
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
