/**
 * Ranks of one model in one process and one thread: each runs until it needs the others' parts of a sum that is not known yet, and
 * all begin anew once it is, from the caches as they were. Quadratic in the sums, which tiny models have few of.
 */
import type { Cache } from "#actors/shard-worker/cache/cache";
import type { Model } from "#actors/shard-worker/models/model";
import { buildModel } from "#actors/shard-worker/models/registry";
import type { MxArray } from "#ffi/array";
import { weightsOf } from "#ffi/cursor";
import type { NativeMlx } from "#ffi/native";
import type { Collective, TensorSource } from "#ffi/weights";
import type { LayerRange } from "#protocol/shard";

interface Values {
  readonly values: Float32Array;
  readonly shape: readonly number[];
}

/** A rank cannot go on without what the others have. */
class Wanting extends Error {
  readonly part: Values;
  readonly isSum: boolean;

  constructor(part: Values, isSum: boolean) {
    super("the other ranks' parts are wanted");
    this.part = part;
    this.isSum = isSum;
  }
}

/** Tokens, or where the first layers are elsewhere their hidden state, row after row. */
export type Input = readonly number[] | Float32Array;

/** Logits, whichever are wanted, or the hidden state for the next layers, as every rank has them. */
export type Ranks = (input: Input, caches: Cache[][], wanted: "last" | "all") => Float32Array[];

export function arrayOf(mlx: NativeMlx, input: Input, { hiddenSize }: Model): MxArray {
  if (!(input instanceof Float32Array)) return mlx.fromInt32(Int32Array.from(input), [1, input.length]);
  return mlx.fromFloat32(input, [1, input.length / hiddenSize, hiddenSize]);
}

export interface Lockstep {
  readonly models: readonly Model[];
  readonly run: Ranks;
}

export function lockstep(
  mlx: NativeMlx,
  { config, source }: { readonly config: unknown; readonly source: TensorSource },
  world: number,
  range?: LayerRange,
): Lockstep {
  const known: Values[] = [];
  let next = 0;
  const told = (part: MxArray, isSum: boolean): MxArray => {
    const answer = known[next++];
    // A token's row is written into its cache by what computes the part.
    part.eval();
    if (answer) return mlx.fromFloat32(answer.values, answer.shape);
    throw new Wanting({ values: part.toFloat32().slice(), shape: [...part.shape] }, isSum);
  };
  const collective: Collective = { sum: (part) => told(part, true), gather: (part) => told(part, false) };
  const models = Array.from({ length: world }, (_, rank) =>
    buildModel(config, weightsOf(source, mlx, { dtype: "float32", rank, world, collective }), range),
  );

  /** One rank as far as it comes. */
  function attempt(model: Model, caches: readonly Cache[], input: Input, wanted: "last" | "all") {
    const own = caches.map((cache) => cache.fork(cache.offset));
    next = 0;
    try {
      const logits = mlx.scope((keep) => {
        const values = model
          .forward(arrayOf(mlx, input, model), own, wanted)
          .toFloat32()
          .slice();
        for (const cache of own) keep(cache.arrays());
        return values;
      });
      return { logits, own };
    } catch (error) {
      for (const cache of own) cache.dispose();
      if (error instanceof Wanting) return error;
      throw error;
    }
  }

  return {
    models,
    run(input, caches, wanted) {
      known.length = 0;
      for (;;) {
        const ends = models.map((model, rank) => attempt(model, caches[rank] ?? [], input, wanted));
        const wants = ends.filter((end) => end instanceof Wanting);
        if (wants.length === world) known.push(joined(wants));
        else if (wants.length > 0) throw new Error("some ranks want more sums than others");
        else
          return ends.flatMap((end, rank) => {
            if (end instanceof Wanting) return [];
            for (const cache of caches[rank] ?? []) cache.dispose();
            caches[rank] = end.own;
            return [end.logits];
          });
      }
    },
  };
}

function joined(wants: readonly Wanting[]): Values {
  const [first] = wants;
  if (!first) throw new Error("nobody wants anything");
  const { shape, values } = first.part;
  if (wants.some(({ part, isSum }) => isSum !== first.isSum || String(part.shape) !== String(shape)))
    throw new Error("ranks are at different sums");
  if (first.isSum) {
    const sum = values.slice();
    for (const { part } of wants.slice(1))
      for (const [i, value] of part.values.entries()) sum[i] = (sum[i] ?? 0) + value;
    return { values: sum, shape };
  }
  const width = shape.at(-1) ?? 1;
  const rows = values.length / width;
  const all = new Float32Array(values.length * wants.length);
  for (let row = 0; row < rows; row++)
    for (const [rank, { part }] of wants.entries())
      all.set(part.values.subarray(row * width, (row + 1) * width), (row * wants.length + rank) * width);
  return { values: all, shape: [...shape.slice(0, -1), width * wants.length] };
}
