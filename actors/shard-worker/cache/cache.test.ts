/** The caches against the plain definition of attention, written out in TypeScript. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { builtMlx } from "#ffi/built-library";
import type { Cache } from "./cache.ts";
import { KvCache } from "./kv.ts";
import { RotatingCache } from "./rotating.ts";

const mlx = builtMlx();
const DIMS = 4;

/** A number for channel `c` of token `t`: different for each, small enough for exp. */
const channelOf = (kind: "q" | "k" | "v", t: number, c: number): number =>
  Math.sin((t + 1) * (c + 2) * { q: 1, k: 1.7, v: 2.9 }[kind]);

const rows = (kind: "q" | "k" | "v", tokens: readonly number[]) =>
  mlx.fromFloat32(
    Float32Array.from(tokens.flatMap((t) => Array.from({ length: DIMS }, (_, c) => channelOf(kind, t, c)))),
    [1, 1, tokens.length, DIMS],
  );

/** Attention of the last of `tokens` over itself and at most window - 1 before it. */
function expected(tokens: readonly number[], window: number): number[] {
  const query = tokens.at(-1) ?? 0;
  const seen = tokens.slice(-window);
  const dot = (t: number) =>
    Array.from({ length: DIMS }, (_, c) => channelOf("q", query, c) * channelOf("k", t, c)).reduce(
      (a, b) => a + b,
    );
  const weights = seen.map((t) => Math.exp(dot(t)));
  const total = weights.reduce((a, b) => a + b);
  return Array.from(
    { length: DIMS },
    (_, c) => seen.reduce((sum, t, i) => sum + (weights[i] ?? 0) * channelOf("v", t, c), 0) / total,
  );
}

/** One token as a decode step does it: its row is written into the cache itself. */
function decode(cache: Cache, token: number): number[] {
  return mlx.scope((keep) => {
    const slot = cache.append({ heads: 1, keyDims: DIMS, valueDims: DIMS, dtype: "float32" }, mlx);
    const out = rows("q", [token]).cachedAttention(rows("k", [token]), rows("v", [token]), [slot], {
      scale: 1,
    });
    keep(cache.arrays());
    return [...out.toFloat32()];
  });
}

/** Runs tokens through the cache as one pass does; one answer per token. */
function attend(cache: Cache, tokens: readonly number[], inPlace = false): number[][] {
  const [only] = tokens;
  if (inPlace && tokens.length === 1 && only !== undefined) return [decode(cache, only)];
  const flat = mlx.scope((keep) => {
    const mask = cache.mask(tokens.length, mlx);
    const [keys, values] = cache.update(rows("k", tokens), rows("v", tokens));
    const out = rows("q", tokens).attention(keys, values, { scale: 1, mask });
    keep(cache.arrays());
    return [...out.toFloat32()];
  });
  return tokens.map((_, i) => flat.slice(i * DIMS, (i + 1) * DIMS));
}

/** The largest distance between what the cache gave and the definition, after all of `steps`. */
function worst(cache: Cache, steps: readonly Step[], window: number): number {
  const tokens: number[] = [];
  let distance = 0;
  for (const step of steps) {
    const back = Math.min(step.back, tokens.length);
    if (cache.canTrim(back)) {
      cache.trim(back);
      tokens.length -= back;
    }
    const fresh = Array.from({ length: step.count }, (_, i) => 31 * steps.indexOf(step) + i);
    const answers = attend(cache, fresh, step.inPlace && canDecodeInPlace);
    for (const [i, token] of fresh.entries()) {
      tokens.push(token);
      const truth = expected(tokens, window);
      distance = Math.max(
        distance,
        ...truth.map((value, c) => Math.abs(value - (answers[i]?.[c] ?? Number.NaN))),
      );
    }
    if (cache.offset !== tokens.length)
      throw new Error(`offset ${cache.offset} after ${tokens.length} tokens`);
  }
  cache.dispose();
  return distance;
}

interface Step {
  readonly count: number;
  readonly back: number;
  readonly inPlace: boolean;
}
/** MLX's own operations have no such step. */
const canDecodeInPlace = mlx.kernels === "exo";
const step = (most: number): fc.Arbitrary<Step> =>
  fc.record({
    count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: most })),
    back: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 5 })),
    inPlace: fc.boolean(),
  });

test("a growing cache is full attention, however the tokens come and go", () => {
  fc.assert(
    fc.property(
      fc.array(step(300), { minLength: 1, maxLength: 6 }),
      (steps) => worst(new KvCache(), steps, 1e9) < 1e-5,
    ),
    { numRuns: 25 },
  );
});

test("a rotating cache is attention over a window, however the tokens come and go", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(step(14), { minLength: 1, maxLength: 12 }),
      (window, steps) => worst(new RotatingCache(window), steps, window) < 1e-5,
    ),
    { numRuns: 150 },
  );
});

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test.each([
  ["growing", () => new KvCache(), 1e9, false],
  ["rotating", () => new RotatingCache(400), 400, false],
  ["growing", () => new KvCache(), 1e9, canDecodeInPlace],
  ["rotating", () => new RotatingCache(400), 400, canDecodeInPlace],
] as const)(
  "a fork of a %s cache and its origin go on without disturbing one another",
  (_, make, window, inPlace) => {
    const before = mlx.liveHandles();
    const origin = make();
    attend(origin, upTo(270));
    const fork = origin.fork(260);
    const [onOrigin] = attend(origin, [500], inPlace);
    const [onFork] = attend(fork, [600], inPlace);
    const again = attend(origin, [501], inPlace).at(-1);
    const truths = [
      [...upTo(270), 500],
      [...upTo(260), 600],
      [...upTo(270), 500, 501],
    ].map((tokens) => expected(tokens, window).map((value) => expect.closeTo(value, 5)));
    const offsets = [origin.offset, fork.offset];
    origin.dispose();
    fork.dispose();
    expect({ rows: [onOrigin, onFork, again], offsets, leaked: mlx.liveHandles() - before }).toEqual({
      rows: truths as never,
      offsets: [272, 261],
      leaked: 0,
    });
  },
);

test.each(["f16", "bf16", "q8"] as const)("rows kept as %s are as near as the type is", (type) => {
  if (type === "q8" && !canDecodeInPlace) return;
  const caches = [new KvCache(type), new RotatingCache(7, type)];
  const near = caches.map((cache, i) => {
    const steps = [9, 1, 1, 4, 1].map((count) => ({ count, back: 0, inPlace: canDecodeInPlace }));
    return worst(cache, steps, i === 0 ? 1e9 : 7) < 2e-2;
  });
  attend(caches[0] as Cache, [1]);
  const [bytes] = caches.map((cache) => cache.nbytes);
  for (const cache of caches) cache.dispose();
  const row = type === "q8" ? 2 * (DIMS + 2) : 2 * DIMS * 2;
  expect([near, bytes]).toEqual([[true, true], 256 * row]);
});

test("a fork that is decoded in one step with its origin finds its rows undisturbed", () => {
  if (!canDecodeInPlace) return;
  const origin = new KvCache();
  attend(origin, upTo(20));
  const fork = origin.fork(10);
  const row = { heads: 1, keyDims: DIMS, valueDims: DIMS, dtype: "float32" } as const;
  const [onOrigin, onFork] = mlx.scope((keep) => {
    const slots = [origin.append(row, mlx), fork.append(row, mlx)];
    const of = (kind: "q" | "k" | "v") => rows(kind, [500, 600]).reshape(2, 1, DIMS);
    const out = of("q").cachedAttention(of("k"), of("v"), slots, { scale: 1 }).toFloat32();
    keep([...origin.arrays(), ...fork.arrays()]);
    return [[...out.subarray(0, DIMS)], [...out.subarray(DIMS)]];
  });
  origin.dispose();
  fork.dispose();
  const truths = [
    [...upTo(20), 500],
    [...upTo(10), 600],
  ].map((tokens) => expected(tokens, 1e9).map((value) => expect.closeTo(value, 5)));
  expect([onOrigin, onFork]).toEqual(truths as never);
});

test("memory grows in steps of 256 rows, and a ring's stops at its window", () => {
  const [growing, ring] = [new KvCache(), new RotatingCache(300)];
  const bytes = [1, 255, 1, 500].map((count) => {
    attend(growing, upTo(count));
    for (const token of upTo(count)) attend(ring, [token]);
    return [growing.nbytes, ring.nbytes];
  });
  const row = 2 * DIMS * 4;
  growing.dispose();
  ring.dispose();
  expect(bytes).toEqual([
    [256 * row, 256 * row],
    [256 * row, 256 * row],
    [512 * row, 300 * row],
    [768 * row, 300 * row],
  ]);
});

test("a prompt's rows lie in the memory that its cache was given, also where that has grown", () => {
  if (!canDecodeInPlace) return;
  const cache = new KvCache();
  const before = mlx.memory().activeBytes;
  for (const tokens of [300, 10, 400]) {
    mlx.scope((keep) => {
      const fresh = mlx.zeros([1, 8, tokens, 256], "float32");
      const [keys, values] = cache.update(fresh, fresh);
      keep(cache.arrays());
      mlx.eval([keys.slice(2, 0, 1), values.slice(2, 0, 1)]);
    });
  }
  // Large caches are no memory of MLX's own, which lies in small pages.
  const copied = mlx.memory().activeBytes - before;
  const share = copied / cache.nbytes;
  cache.dispose();
  expect(share).toBeLessThan(0.01);
});

test("a ring that has lost rows cannot go back", () => {
  const ring = new RotatingCache(4);
  attend(ring, upTo(4));
  const whole = ring.canTrim(2);
  attend(ring, [4]);
  expect([whole, ring.canTrim(0), ring.canTrim(1)]).toEqual([true, true, false]);
  expect(() => ring.trim(1)).toThrow("rows older than the window are gone");
  ring.dispose();
});
