/** Grouped-query attention: the same for a prompt and for a token of each of several sequences, which take different ways. */
import type { CacheSlot, MxArray, Rotation } from "#ffi/array";
import { attentionStep } from "#ffi/steps";
import type { Parts as HeadParts, Layer, Norm, Weights } from "#ffi/weights";
import { keptByRank } from "#protocol/model-shape";
import { Problem } from "#protocol/problem";
import type { Cache } from "../cache/cache.ts";
import { normOf, type Pass, type ResidualBlock } from "./residual.ts";
import type { Rope } from "./rope.ts";

export interface AttentionOptions {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDims: number;
  readonly rope: Rope;
  /** The projections that must have a bias; one that the file brings unasked is used as well. */
  readonly biases?: readonly ("q_proj" | "k_proj" | "v_proj" | "o_proj")[];
  /** RMSNorm of each head's queries and keys before they are rotated, with this eps. */
  readonly qkNorm?: number;
}

/** Grouped-query attention (https://arxiv.org/abs/2305.13245) with rotary positions, of what `norm` makes of the residual. */
export function attention(w: Weights, norm: Norm, options: AttentionOptions): ResidualBlock {
  const { headDims, rope, biases = [], qkNorm } = options;
  const heads = share(options.heads, w, "num_attention_heads");
  const kept = kvHeadsOfRank(options, w);
  const kvHeads = kept?.indices.length ?? options.kvHeads / w.world;
  needBiases(w, biases);
  const [q, out] = [w.column("q_proj"), w.row("o_proj")];
  const [k, v] = [w.column("k_proj", kept), w.column("v_proj", kept)];
  const norms =
    qkNorm === undefined ? undefined : ([w.rmsNorm("q_norm", qkNorm), w.rmsNorm("k_norm", qkNorm)] as const);
  const parts: Parts = {
    q,
    k,
    v,
    out,
    heads,
    kvHeads,
    headDims,
    rope,
    qNorm: norms?.[0].of,
    kNorm: norms?.[1].of,
  };
  const row = { heads: kvHeads, keyDims: headDims, valueDims: headDims, dtype: w.dtype };
  const fused = rope.prepare ? undefined : attentionStep(norm, [q, k, v, out], norms);

  return (residual, pass) => {
    const { batch, length, caches } = pass;
    const { mlx } = residual.trunk;
    if (length > 1 || caches.length !== batch || mlx.kernels !== "exo") {
      const [trunk, x] = normOf(norm, residual);
      return { trunk, branch: ofCaches(parts, x, pass) };
    }
    const slots = caches.map((cache) => cache.append(row, mlx));
    const rotation = commonRotation(slots, rope);
    const pair =
      rotation && fused?.(residual.trunk, residual.branch, slots, { scale: scaleOf(parts), rotation });
    if (pair) return { trunk: pair[0], branch: pair[1] };
    const [trunk, x] = normOf(norm, residual);
    return { trunk, branch: ofSlots(parts, x, slots) };
  };
}

interface Parts extends Pick<AttentionOptions, "heads" | "kvHeads" | "headDims" | "rope"> {
  readonly q: Layer;
  readonly k: Layer;
  readonly v: Layer;
  readonly out: Layer;
  readonly qNorm: Layer | undefined;
  readonly kNorm: Layer | undefined;
}

const scaleOf = ({ headDims }: Parts): number => headDims ** -0.5;

/** One token of each sequence: rotated, written into its cache and mixed in one step for all of them. */
function ofSlots(parts: Parts, x: MxArray, slots: readonly CacheSlot[]): MxArray {
  const { q, k, v, out, heads, kvHeads, headDims, rope, qNorm, kNorm } = parts;
  const prepared = (y: MxArray, count: number, norm: Layer | undefined): MxArray => {
    if (!norm && !rope.prepare) return y;
    const rows = y.reshape(slots.length, count, 1, headDims);
    const normed = norm ? norm(rows) : rows;
    return rope.prepare?.(normed) ?? normed;
  };
  const [queries, keys, values] = [prepared(q(x), heads, qNorm), prepared(k(x), kvHeads, kNorm), v(x)];
  return out(mixedAlike(queries, keys, values, slots, { scale: scaleOf(parts), rope }));
}

/** Any number of tokens: their keys and values are added to the caches first. */
function ofCaches(parts: Parts, x: MxArray, { batch, length, caches, mask }: Pass): MxArray {
  const { q, k, v, out, heads, kvHeads, headDims, rope, qNorm, kNorm } = parts;
  // A single token's rows lie in memory as if already transposed.
  const split = (y: MxArray, count: number, norm?: Layer) => {
    const rows =
      length === 1 ? y.reshape(batch, count, 1, headDims) : y.reshape(batch, length, count, headDims);
    const normed = norm ? norm(rows) : rows;
    return length === 1 ? normed : normed.transpose(0, 2, 1, 3);
  };
  const queries = split(q(x), heads, qNorm);
  const keys = split(k(x), kvHeads, kNorm);
  const values = split(v(x), kvHeads);
  const mixed = perCache(caches, [queries, keys, values], (cache, [asked, key, value]) => {
    const { offset } = cache;
    const turned = rope.rotate(asked, offset);
    const [seenKeys, seenValues] = cache.update(rope.rotate(key, offset), value);
    return turned.attention(seenKeys, seenValues, { scale: scaleOf(parts), mask });
  });
  const joined = length === 1 ? mixed : mixed.transpose(0, 2, 1, 3);
  return out(joined.reshape(batch, length, heads * headDims));
}

/** How all sequences' tokens turn, where they turn alike. */
function commonRotation(slots: readonly CacheSlot[], rope: Rope): Rotation | undefined {
  const [rotation, ...others] = slots.map(({ position }) => rope.rotation(position + 1));
  return rotation && others.every(({ base }) => base === rotation.base) ? rotation : undefined;
}

/** The attention of one token of each sequence. Where a rotation depends on the sequence's length, each goes by itself. */
function mixedAlike(
  queries: MxArray,
  keys: MxArray,
  values: MxArray,
  slots: readonly CacheSlot[],
  { scale, rope }: { readonly scale: number; readonly rope: Rope },
): MxArray {
  const common = commonRotation(slots, rope);
  if (common) return queries.cachedAttention(keys, values, slots, { scale, rotation: common });
  const [first, ...rest] = slots.map((slot, i) => {
    const of = (y: MxArray): MxArray => y.slice(0, i, i + 1);
    const rotation = rope.rotation(slot.position + 1);
    return of(queries).cachedAttention(of(keys), of(values), [slot], { scale, rotation });
  });
  if (!first) throw new Error("no sequence to decode");
  return first.concat(rest, 0);
}

type Trio = readonly [queries: MxArray, keys: MxArray, values: MxArray];

/** What stands at its own place in its own sequence goes row by row; a cache alone takes all rows. */
function perCache(
  caches: readonly Cache[],
  all: Trio,
  attend: (cache: Cache, one: Trio) => MxArray,
): MxArray {
  const [only] = caches;
  if (only && caches.length === 1) return attend(only, all);
  const [queries, keys, values] = all;
  const [first, ...rest] = caches.map((cache, row) => {
    const of = (x: MxArray) => x.slice(0, row, row + 1);
    return attend(cache, [of(queries), of(keys), of(values)]);
  });
  if (!first) throw new Error("no sequence to decode");
  return first.concat(rest, 0);
}

/**
 * Key-value heads for this rank's query heads, where ranks cannot share them without rest: those that others need too are held by each of
 * them. Undefined where each has its own.
 */
function kvHeadsOfRank(
  { heads, kvHeads }: AttentionOptions,
  { rank, world }: Weights,
): HeadParts | undefined {
  if (kvHeads % world === 0) return undefined;
  const own = heads / world;
  const each = keptByRank(heads, kvHeads, world);
  // Each block of query heads, none of which is torn between two key-value heads, reads one of those held.
  const indices = Array.from({ length: each }, (_, block) =>
    Math.floor(((rank * own + (block * own) / each) * kvHeads) / heads),
  );
  return { indices, count: kvHeads };
}

/** What this rank holds of `count` heads. */
function share(count: number, { world }: Weights, name: string): number {
  if (count % world !== 0) {
    throw new Problem("invalid", `${name} is ${count}, which ${world} ranks cannot share evenly`, {
      param: "world",
      remedy: `use a number of ranks that divides ${count}`,
    });
  }
  return count / world;
}

/** Throws Problem naming the first bias that is missing. */
export function needBiases(w: Weights, names: readonly string[]): void {
  for (const name of names) {
    if (!w.has(`${name}.bias`)) {
      throw new Problem(
        "invalid",
        `the checkpoint lacks tensor ${w.path}.${name}.bias, which its config asks for`,
        {
          remedy: "fetch the checkpoint again, or correct its config.json",
        },
      );
    }
  }
}
