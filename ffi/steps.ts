/**
 * What a layer does while tokens are decoded, as few nodes of the graph: the time that the host takes for a node is that of many
 * of a small model's products. Results are the same bits as those of the operations one by one, which is what remains to the
 * caller where these functions give undefined: with MLX's kernels, shapes alone, or weights in forms that only MLX knows.
 */
import type { CachedAttentionOptions, CacheSlot, Mlx, MxArray } from "./array.ts";
import { someFloat } from "./call.ts";
import type { mlx_array } from "./generated/symbols.ts";
import { NativeMlx } from "./native.ts";
import { NativeArray } from "./native-array.ts";
import { isPacked } from "./nn/linear.ts";
import type { Norm, Projection } from "./weights.ts";

/**
 * Runs `work`; what it makes by our own kernels of arrays that are there is computed as it is made. A token's graph is made and
 * computed in so little time that handing it to MLX's thread, and being woken by that, would be a tenth of it.
 */
export function atOnce<T>(mlx: Mlx, work: () => T): T {
  if (!(mlx instanceof NativeMlx) || mlx.kernels !== "exo") return work();
  mlx.native.exo_at_once(true);
  try {
    return work();
  } finally {
    mlx.native.exo_at_once(false);
  }
}

/** A residual: its sum so far, and what is added to that next. */
export type Pair = readonly [sum: MxArray, made: MxArray];

/** Arrays in the order in which C wants them, and the numbers that say what they are. */
interface Listed {
  readonly arrays: readonly (NativeArray | undefined)[];
  readonly packings: Int32Array;
}

const MODES = { affine: 0, mxfp4: 1, mxfp8: 2, nvfp4: 3 } as const;

function listed(norm: Norm, projections: readonly Projection[]): Listed {
  const arrays: MxArray[] = [norm.weight];
  const packings: number[] = [];
  for (const { weight, bias } of projections) {
    if (isPacked(weight)) {
      const { bits, groupSize, mode, biases } = weight;
      arrays.push(weight.weight, weight.scales, ...(biases ? [biases] : []));
      packings.push(bits, groupSize, MODES[mode]);
    } else {
      arrays.push(weight);
      packings.push(0, 0, 0);
    }
    if (bias) arrays.push(bias);
    packings.push(bias ? 1 : 0);
  }
  return { arrays: arrays as NativeArray[], packings: Int32Array.from(packings) };
}

/** Whether `x` has values that our kernels compute. */
const isOurs = (x: MxArray): x is NativeArray => x instanceof NativeArray && x.mlx.kernels === "exo";

const handleOf = (y: MxArray | undefined): mlx_array | null => (y ? (y as NativeArray).used() : null);

/** Nothing was made where the shim does not know what it was given. */
function pairOf({ mlx }: NativeArray, [sum, made]: readonly [mlx_array, mlx_array]): Pair | undefined {
  return sum === 0 ? undefined : [mlx.adopt(sum), mlx.adopt(made)];
}

/** x + y (or x), and of its norm n: down(silu(gate n) · up n), for x [.., hidden]. */
export type GatedStep = (x: MxArray, y: MxArray | undefined) => Pair | undefined;

export function gatedStep(
  norm: Norm,
  projections: readonly [gate: Projection, up: Projection, down: Projection],
): GatedStep {
  const { arrays, packings } = listed(norm, projections);
  return (x, y) => {
    if (!isOurs(x)) return undefined;
    const { native, words, stream } = x.mlx;
    const all = words.handles(arrays);
    return pairOf(x, native.exo_gated_step(x.used(), handleOf(y), all, packings, norm.eps, stream));
  };
}

/** x + y (or x), and of its norm n: out(cachedAttention(q n, k n, v n)), for a token of each sequence x [B, 1, hidden]. */
export type AttentionStep = (
  x: MxArray,
  y: MxArray | undefined,
  slots: readonly CacheSlot[],
  options: CachedAttentionOptions,
) => Pair | undefined;

/** `heads` are the norms of each head's queries and keys. */
export function attentionStep(
  norm: Norm,
  projections: readonly [q: Projection, k: Projection, v: Projection, out: Projection],
  heads: readonly [q: Norm, k: Norm] | undefined,
): AttentionStep {
  const { arrays, packings } = listed(norm, projections);
  const headNorms = heads ? heads.map(({ weight }) => weight as NativeArray) : [undefined];
  const weights = [...arrays, ...headNorms];
  const headEps = heads?.[0].eps ?? 0;
  return (x, y, slots, { scale, rotation }) => {
    if (!isOurs(x)) return undefined;
    const { native, words, stream } = x.mlx;
    const caches = slots.flatMap((slot) => [slot.keys as NativeArray, slot.values as NativeArray]);
    const places = Int32Array.from(slots.flatMap(({ position, row, seen }) => [position, row, seen]));
    const { dims = 0, traditional = false, base, freqs, scale: turnScale = 1 } = rotation ?? {};
    const all = words.handles([...weights, ...caches]);
    return pairOf(
      x,
      native.exo_attention_step(
        x.used(), handleOf(y), all, packings, norm.eps, headEps, places, slots.length, scale, dims, traditional,
        someFloat(base), turnScale, handleOf(freqs), stream,
      ), // biome-ignore format: a call
    );
  };
}
