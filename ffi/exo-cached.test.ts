/** Attention of new tokens over caches of every type against MLX's own in float32 over what the caches hold. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type CacheSlot, type Mlx, type MxArray, packedWidth } from "./array.ts";
import { builtMlx } from "./built-library.ts";
import { repeatable } from "./plain-arrays.ts";

const exo = builtMlx({ device: "cpu", kernels: "exo" });
const mlx = builtMlx({ device: "cpu", kernels: "mlx" });

const TYPES = ["float32", "float16", "bfloat16", "q8"] as const;
type Type = (typeof TYPES)[number];
/** How far a row may be from what was written: half a step of the type for numbers up to 2, and angles of their own. */
const ROUNDING = { float32: 1e-5, float16: 1e-3, bfloat16: 8e-3, q8: 1e-2 } as const;

/**
 * How far a mixture may be. By AVX-512 with VNNI, and nowhere else, packed rows are met by 16-bit integers: a weight is off by at most 1.54e-5 of the largest of 64, so that
 * values up to 2 mixed by these are off by 8e-5 in the root mean square (8 times 1.54e-5 / sqrt(3), times 1.15), scores by less; this
 * is six times that. The shim's fuzz has the sharp bound of each case.
 */
const MIXED = {
  ...{ float32: 3e-5, float16: 3e-5, bfloat16: 3e-5 },
  q8: exo.native.exo_kernel_path() === "avx512" ? 5e-4 : 3e-5,
} as const;

const upTo = (max: number, min = 1) => fc.integer({ min, max });

function given(on: Mlx, shape: readonly number[], seed: number): MxArray {
  const size = shape.reduce((a, b) => a * b, 1);
  return on.fromFloat32(repeatable(size, seed, 2), shape);
}

const asType = (x: MxArray, type: Type): MxArray => (type === "q8" ? x.packRows() : x.astype(type));

/** Rows of `packRows` as the header describes them. */
function unpacked(bytes: Int32Array, dims: number): Float32Array {
  const width = packedWidth(dims);
  const view = new DataView(new ArrayBuffer(4));
  return Float32Array.from({ length: (bytes.length / width) * dims }, (_, i) => {
    const [row, d] = [Math.floor(i / dims) * width, i % dims];
    const scale = row + dims + 2 * Math.floor(d / 32);
    view.setUint32(0, ((bytes[scale + 1] ?? 0) << 24) | ((bytes[scale] ?? 0) << 16));
    return ((bytes[row + d] ?? 0) - 128) * view.getFloat32(0);
  });
}

/** What a cache holds, on the reference's side. */
function held(cache: MxArray, dims: number): MxArray {
  const [batch = 1, heads = 1, rows = 1] = cache.shape;
  const floats = cache.dtype === "uint8" ? unpacked(cache.toInt32(), dims) : cache.toFloat32();
  return mlx.fromFloat32(floats, [batch, heads, rows, dims]);
}

interface Case {
  readonly type: Type;
  readonly sequences: number;
  readonly kvHeads: number;
  readonly group: number;
  readonly half: number;
  readonly odd: number;
  readonly rows: number;
  readonly seed: number;
  readonly rotates: boolean;
}

const cases: fc.Arbitrary<Case> = fc.record({
  type: fc.constantFrom(...TYPES),
  sequences: upTo(3),
  kvHeads: upTo(3),
  group: upTo(9),
  half: upTo(48),
  odd: upTo(3, 0),
  rows: fc.oneof(upTo(5), upTo(300), upTo(1200)),
  seed: upTo(1000),
  rotates: fc.boolean(),
});

function slotsOf({ type, sequences, kvHeads, half, odd, rows, seed }: Case, dims: number): CacheSlot[] {
  const room = Math.ceil(rows / 2) + 3;
  return Array.from({ length: sequences }, (_, b) => {
    const seen = 1 + ((seed * (b + 7)) % room);
    const cache = (salt: number, width: number): MxArray =>
      asType(given(exo, [1, kvHeads, room, width], seed + 10 * b + salt), type).eval();
    const row = (seed + b) % seen;
    return { keys: cache(1, dims), values: cache(2, half + odd), position: 3 * b + half, row, seen };
  });
}

/** The largest distance of mixtures from the reference's, and of written rows from what should be there. */
function distances(one: Case): { readonly mixed: number; readonly written: number } {
  const { sequences, kvHeads, group, half, odd, seed, rotates } = one;
  const [dims, valueDims, heads] = [2 * half + odd, half + odd, kvHeads * group];
  const rotation = { dims: 2 * half, traditional: seed % 2 === 0, base: 1000, scale: 1 };
  const slots = slotsOf(one, dims);
  const of = (on: Mlx) =>
    [
      given(on, [sequences, 1, heads * dims], seed + 3),
      given(on, [sequences, 1, kvHeads * dims], seed + 4),
      given(on, [sequences, 1, kvHeads * valueDims], seed + 5),
    ] as const;
  const [queries, keys, fresh] = of(exo);
  const options = { scale: dims ** -0.5, ...(rotates && { rotation }) };
  const got = queries.cachedAttention(keys, fresh, slots, options).toFloat32();
  const [allQueries, allKeys, allValues] = of(mlx);
  let [mixed, written] = [0, 0];
  for (const [b, { keys: keyRows, values: valueRows, position, row, seen }] of slots.entries()) {
    const turned = (x: MxArray, count: number): MxArray => {
      const split = x.slice(0, b, b + 1).reshape(1, count, 1, dims);
      return rotates ? split.rope({ ...rotation, offset: position }) : split;
    };
    const [heldKeys, heldValues] = [held(keyRows, dims), held(valueRows, valueDims)];
    const away = (cache: MxArray, wanted: MxArray): number =>
      apart(cache.slice(2, row, row + 1).toFloat32(), wanted.toFloat32());
    written = Math.max(
      written,
      away(heldKeys, turned(allKeys, kvHeads)),
      away(heldValues, allValues.slice(0, b, b + 1).reshape(1, kvHeads, 1, valueDims)),
    );
    const wanted = turned(allQueries, heads).attention(
      heldKeys.slice(2, 0, seen), heldValues.slice(2, 0, seen), { scale: options.scale, mask: "none" },
    ); // biome-ignore format: a call
    const size = heads * valueDims;
    mixed = Math.max(mixed, apart(got.subarray(b * size, (b + 1) * size), wanted.toFloat32()));
  }
  return { mixed, written };
}

function apart(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? Number.NaN))), 0);
}

test("each of several tokens is written where it belongs and sees what it may, for every type and size", () => {
  fc.assert(
    fc.property(cases, (one) => {
      const { mixed, written } = exo.scope(() => mlx.scope(() => distances(one)));
      return mixed < MIXED[one.type] && written < 2 * ROUNDING[one.type];
    }),
    { numRuns: 150 },
  );
});

test("a token computes the same to the last bit alone and beside others", () => {
  fc.assert(
    fc.property(cases, (one) =>
      exo.scope(() => {
        const { sequences, kvHeads, group, half, odd, seed } = one;
        const dims = 2 * half + odd;
        const queries = given(exo, [sequences, 1, kvHeads * group * dims], seed);
        const [keys, fresh] = [
          given(exo, [sequences, 1, kvHeads * dims], seed + 1),
          given(exo, [sequences, 1, kvHeads * (half + odd)], seed + 2),
        ];
        const options = { scale: 0.3, rotation: { dims: 2 * half, traditional: false, base: 100, scale: 1 } };
        const together = queries.cachedAttention(keys, fresh, slotsOf(one, dims), options).toFloat32();
        const alone = slotsOf(one, dims).flatMap((slot, b) => {
          const of = (x: MxArray) => x.slice(0, b, b + 1);
          return [...of(queries).cachedAttention(of(keys), of(fresh), [slot], options).toFloat32()];
        });
        return Buffer.from(together.buffer).equals(Buffer.from(Float32Array.from(alone).buffer));
      }),
    ),
    { numRuns: 60 },
  );
});

test("the first token of an empty cache mixes its own value alone, whatever lies beyond", () => {
  const got = TYPES.map((type) =>
    exo.scope(() => {
      const room = asType(exo.full([1, 1, 4, 5], type === "q8" ? 1 : Number.NaN, "float32"), type).eval();
      const keys = asType(exo.full([1, 1, 4, 5], 7, "float32"), type).eval();
      const slot = { keys, values: room, position: 0, row: 0, seen: 1 };
      const value = exo.fromFloat32(Float32Array.of(1, 0.5, -0.25, 0, 2), [1, 1, 5]);
      const query = given(exo, [1, 1, 10], 3);
      return [...query.cachedAttention(given(exo, [1, 1, 5], 4), value, [slot], { scale: 1 }).toFloat32()];
    }),
  );
  const near = [1, 0.5, -0.25, 0, 2].map((value) => expect.closeTo(value, 1));
  expect(got).toEqual(TYPES.map(() => [...near, ...near]) as never);
});

test("what is no number is not hidden by any type", () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    for (const type of TYPES) {
      const got = exo.scope(() => {
        const cache = () => asType(given(exo, [1, 1, 70, 40], 1), type).eval();
        const slot = { keys: cache(), values: cache(), position: 5, row: 66, seen: 70 };
        const value = repeatable(40, 5, 2);
        value[33] = bad;
        const fresh = exo.fromFloat32(value, [1, 1, 40]);
        const out = given(exo, [1, 1, 40], 2).cachedAttention(given(exo, [1, 1, 40], 3), fresh, [slot], {
          scale: 0.1,
        });
        return out.toFloat32();
      });
      expect([Number.isFinite(got[0]), Number.isFinite(got[33])]).toEqual([true, false]);
    }
  }
});

test("the largest numbers that a packed row holds come back as numbers", () => {
  const [largest, dims] = [3.389e38, 40];
  const got = exo.scope(() => {
    const cache = () => exo.full([1, 1, 4, dims], 1, "float32").packRows().eval();
    const slot = { keys: cache(), values: cache(), position: 0, row: 0, seen: 1 };
    const value = new Float32Array(dims).fill(largest / 2);
    value[3] = -largest;
    const fresh = exo.fromFloat32(value, [1, 1, dims]);
    const query = given(exo, [1, 1, dims], 2);
    return query.cachedAttention(given(exo, [1, 1, dims], 3), fresh, [slot], { scale: 0.1 }).toFloat32();
  });
  expect([...got].map((value, i) => Math.abs(value / largest - (i === 3 ? -1 : 0.5)) < 0.01)).toEqual(
    Array(dims).fill(true),
  );
});

test("a packed row is as near as its largest value divided by 254 in each group of 32", () => {
  fc.assert(
    fc.property(
      upTo(100),
      upTo(4),
      upTo(1000),
      fc.constantFrom(0, 1e-30, 1e-3, 1, 1e4, 1e30),
      (dims, rows, seed, size) =>
        exo.scope(() => {
          const x = repeatable(rows * dims, seed, 2).map((value) => value * size);
          const packed = exo.fromFloat32(x, [rows, dims]).packRows();
          const back = unpacked(packed.toInt32(), dims);
          return x.every((value, i) => {
            const start = i - ((i % dims) % 32);
            const end = Math.min(start + 32, i - (i % dims) + dims);
            const most = Math.max(...x.slice(start, end).map(Math.abs));
            // The scale is rounded up to a bfloat16, which has eight bits.
            return Math.abs(value - (back[i] ?? Number.NaN)) <= (most / 254) * (1 + 2 ** -6);
          });
        }),
    ),
    { numRuns: 100 },
  );
});

test("attention over a prompt reads caches of every type, whatever is hidden", () => {
  fc.assert(
    fc.property(cases, upTo(40), fc.constantFrom("none", "causal", "array"), (one, length, mask) =>
      exo.scope(() =>
        mlx.scope(() => {
          const { type, kvHeads, group, half, odd, rows, seed } = one;
          const [dims, valueDims, keys] = [2 * half + odd, half + odd, rows + length];
          const cache = [
            asType(given(exo, [1, kvHeads, keys, dims], seed), type),
            asType(given(exo, [1, kvHeads, keys, valueDims], seed + 1), type),
          ] as const;
          const shape = [1, kvHeads * group, length, dims];
          const seen = (on: Mlx): MxArray => given(on, [length, keys], seed + 2).greater(0);
          const maskOn = (on: Mlx) => (mask === "array" ? seen(on) : mask);
          const got = given(exo, shape, seed + 3).attention(...cache, {
            scale: dims ** -0.5,
            mask: maskOn(exo),
          });
          const reference = [held(cache[0], dims), held(cache[1], valueDims)] as const;
          const wanted = given(mlx, shape, seed + 3).attention(...reference, {
            scale: dims ** -0.5,
            mask: maskOn(mlx),
          });
          return apart(got.toFloat32(), wanted.toFloat32()) < MIXED[type];
        }),
      ),
    ),
    { numRuns: 60 },
  );
});

test.each([
  ["a row beyond the cache", { row: 4 }, "no such row in a cache"],
  ["more rows than there are", { seen: 5 }, "no such row in a cache"],
  ["a row before the cache", { row: -1 }, "no such row in a cache"],
  ["a cache of other heads", { keys: exo.zeros([1, 2, 4, 8], "float32") }, "differ"],
  ["a cache of other dimensions", { values: exo.zeros([1, 1, 4, 6], "float32") }, "differ"],
  ["a cache of integers", { keys: exo.zeros([1, 1, 4, 8], "int32") }, "differ"],
])("%s is refused before anything is written", (_, change, why) => {
  const cache = exo.zeros([1, 1, 4, 8], "float32");
  const slot = { keys: cache, values: cache, position: 0, row: 0, seen: 1, ...change };
  const fresh = exo.zeros([1, 1, 8], "float32");
  expect(() => fresh.cachedAttention(fresh, fresh, [slot], { scale: 1 })).toThrow(why);
});

test("MLX's own operations say that they have no such thing", () => {
  const x = mlx.zeros([1, 1, 8], "float32");
  expect(() => x.packRows()).toThrow("ask for our own kernels");
  expect(() => x.cachedAttention(x, x, [], { scale: 1 })).toThrow("ask for our own kernels");
});
