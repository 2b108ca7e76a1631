/** Norm, gated product, rotation and attention of our shim against MLX's own in float32, however the operands lie. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { AttentionOptions, Mlx, MxArray } from "./array.ts";
import { builtMlx } from "./built-library.ts";
import { repeatable } from "./plain-arrays.ts";

const exo = builtMlx({ device: "cpu", kernels: "exo" });
const mlx = builtMlx({ device: "cpu", kernels: "mlx" });

/** How far results of numbers near one may be apart: rounding of the type and of the sums before it. */
const BOUNDS = { float32: 2e-5, float16: 2e-3, bfloat16: 1.6e-2 } as const;
type Type = keyof typeof BOUNDS;

/** Row by row; the last two axes swapped; the axis before the last cut from a longer one; axes 1 and 2 swapped. */
const LAYOUTS = ["rows", "swapped", "cut", "heads"] as const;
type Layout = (typeof LAYOUTS)[number];

const type = fc.constantFrom<Type>("float32", "float16", "bfloat16");
const layout = fc.constantFrom(...LAYOUTS);
const upTo = (max: number, min = 1) => fc.integer({ min, max });

/** Gives an operand of `shape` in the type under test; the reference sees the same rounded values as float32. */
type Give = (shape: readonly number[], seed: number, as?: Layout) => MxArray;

function giver(on: Mlx, as: Type): Give {
  const plain = (shape: readonly number[], seed: number): MxArray => {
    const size = shape.reduce((a, b) => a * b, 1);
    const rounded = on.fromFloat32(repeatable(size, seed, 2), shape).astype(as);
    return on === mlx ? rounded.astype("float32") : rounded;
  };
  return (shape, seed, lie = "rows") => {
    const before = shape.slice(0, -2);
    const [rows = 1, columns = 1] = shape.slice(-2);
    if (lie === "swapped") return plain([...before, columns, rows], seed).swapaxes(-1, -2);
    if (lie === "cut") {
      return plain([...before, rows + 3, columns], seed).slice(shape.length - 2, 2, rows + 2);
    }
    if (lie === "heads" && shape.length === 4) {
      const [batch = 1, heads = 1] = before;
      return plain([batch, rows, heads, columns], seed).swapaxes(1, 2);
    }
    return plain(shape, seed);
  };
}

/** Whether both give the same, to rounding; what is not finite must be the same. */
function agree(as: Type, work: (give: Give, on: Mlx) => MxArray): boolean {
  const of = (on: Mlx): [readonly number[], Float32Array] =>
    on.scope(() => {
      const made = work(giver(on, as), on);
      return [made.shape, made.toFloat32()];
    });
  const [[shape, got], [wantedShape, wanted]] = [of(exo), of(mlx)];
  const near = (a: number, b: number): boolean =>
    Object.is(a, b) || a === b || Math.abs(a - b) <= BOUNDS[as] * (1 + Math.abs(b));
  return `${shape}` === `${wantedShape}` && got.every((value, i) => near(value, wanted[i] ?? Number.NaN));
}

test("rms norm equals MLX's for every layout, size and type", () => {
  fc.assert(
    fc.property(type, layout, upTo(3), upTo(9), upTo(300), (as, lie, batch, rows, columns) =>
      agree(as, (give) => give([batch, rows, columns], 1, lie).rmsNorm(give([columns], 2), 1e-5)),
    ),
    { numRuns: 150 },
  );
});

test("a residual and its norm are those of two operations, to the last bit", () => {
  fc.assert(
    fc.property(type, layout, layout, upTo(3), upTo(9), upTo(300), (as, one, two, batch, rows, columns) =>
      exo.scope(() => {
        const give = giver(exo, as);
        const shape = [batch, rows, columns];
        const [x, y, weight] = [give(shape, 1, one), give(shape, 2, two), give([columns], 3)];
        const [sum, normed] = x.addRmsNorm(y, weight, 1e-5);
        const apart = x.add(y);
        const same = (a: MxArray, b: MxArray): boolean =>
          Buffer.from(a.toFloat32().buffer).equals(Buffer.from(b.toFloat32().buffer));
        return same(sum, apart) && same(normed, apart.rmsNorm(weight, 1e-5));
      }),
    ),
    { numRuns: 150 },
  );
});

test("the gated product equals MLX's for every pair of layouts", () => {
  fc.assert(
    fc.property(type, layout, layout, upTo(5), upTo(9), upTo(200), (as, one, two, batch, rows, columns) =>
      agree(as, (give) => {
        const shape = [batch, rows, columns];
        return give(shape, 1, one)
          .mul(8)
          .siluMul(give(shape, 2, two));
      }),
    ),
    { numRuns: 150 },
  );
});

describe("rotation", () => {
  const shape = fc.tuple(upTo(2), upTo(4), upTo(9), upTo(70, 2));

  test("equals MLX's in both pairings, by base and by periods, with channels left over", () => {
    const options = fc.record({
      traditional: fc.boolean(),
      scale: fc.constantFrom(1, 0.25),
      offset: upTo(50, 0),
    });
    fc.assert(
      fc.property(
        type,
        layout,
        shape,
        fc.boolean(),
        upTo(35),
        options,
        (as, lie, sizes, byBase, half, rest) =>
          agree(as, (give, on) => {
            const dims = 2 * Math.min(half, sizes[3] >> 1);
            const periods = Float32Array.from({ length: dims / 2 }, (_, i) =>
              i === 1 ? Infinity : 1.7 ** i,
            );
            const angles = byBase ? { base: 10000 } : { freqs: on.fromFloat32(periods, [dims / 2]) };
            return give(sizes, 1, lie).rope({ ...rest, ...angles, dims });
          }),
      ),
      { numRuns: 150 },
    );
  });

  test("turns by the float32 angle at far positions", () => {
    const [half, base, offset] = [32, 500_000, 131_000];
    const pairs = exo.scope(() =>
      exo
        .full([1, 1, 2, 2 * half], 1, "float32")
        .rope({ dims: 2 * half, traditional: true, base, scale: 1, offset })
        .toFloat32(),
    );
    const wanted = Float32Array.from({ length: pairs.length }, (_, at) => {
      const [position, i] = [offset + Math.floor(at / (2 * half)), (at >> 1) % half];
      const angle = Math.fround(position * Math.fround(base ** (-i / half)));
      const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
      return at % 2 === 0 ? cosine - sine : sine + cosine;
    });
    expect(Math.max(...pairs.map((value, i) => Math.abs(value - (wanted[i] ?? Number.NaN))))).toBeLessThan(
      1e-6,
    );
  });
});

describe("attention", () => {
  const sizes = fc.record({
    batch: upTo(2), kvHeads: upTo(3), group: upTo(4), length: fc.oneof(upTo(3), upTo(70)),
    keys: fc.oneof(upTo(20), upTo(700)), dims: upTo(80), valueDims: upTo(80),
  }); // biome-ignore format: a table
  const mask = fc.oneof(
    fc.constantFrom("none" as const, "causal" as const),
    fc.tuple(fc.boolean(), fc.boolean(), upTo(4, 0)),
  );

  test("equals MLX's for every layout, size, mask and number of heads that share keys", () => {
    fc.assert(
      fc.property(type, sizes, layout, layout, layout, mask, (as, size, one, two, three, masked) =>
        agree(as, (give, on) => {
          const { batch, kvHeads, group, length, keys, dims, valueDims } = size;
          // MLX aligns a causal mask to the end of the keys, of which there are then at least as many as queries.
          const rows = masked === "causal" ? Math.min(length, keys) : length;
          const seen = Array.isArray(masked)
            ? boolean(on, masked, [batch, kvHeads * group, rows, keys])
            : masked;
          const queries = give([batch, kvHeads * group, rows, dims], 1, one);
          const [k, v] = [
            give([batch, kvHeads, keys, dims], 2, two),
            give([batch, kvHeads, keys, valueDims], 3, three),
          ];
          return queries.attention(k, v, { scale: dims ** -0.5, mask: seen as AttentionOptions["mask"] });
        }),
      ),
      { numRuns: 200 },
    );
  });

  /** A mask with one row per batch or for all, one per head or for all, and as many axes as fit: some rows see nothing. */
  function boolean(
    on: Mlx,
    [perBatch, perHead, axes]: [boolean, boolean, number],
    full: readonly number[],
  ): MxArray {
    const [batch = 1, heads = 1, rows = 1, keys = 1] = full;
    const shape = [perBatch ? batch : 1, perHead ? heads : 1, rows, keys].slice(4 - Math.max(axes, 1));
    const size = shape.reduce((a, b) => a * b, 1);
    return on.fromFloat32(repeatable(size, 9, 2), shape).greater(axes === 0 ? 3 : 0.5);
  }

  test("a mask that is added to the scores, and keys shared by heads that do not divide, are MLX's to judge", () => {
    expect(
      agree("float32", (give, on) => {
        const bias = on.fromFloat32(repeatable(15, 4, 2), [3, 5]);
        return give([1, 2, 3, 8], 1).attention(give([1, 2, 5, 8], 2), give([1, 2, 5, 8], 3), {
          scale: 1,
          mask: bias,
        });
      }),
    ).toBe(true);
    const uneven = () =>
      exo.scope(() => {
        const give = giver(exo, "float32");
        return give([1, 3, 1, 8], 1).attention(give([1, 2, 5, 8], 2), give([1, 2, 5, 8], 3), {
          scale: 1,
          mask: "none",
        });
      });
    expect(uneven).toThrow("exo_attention of [1, 3, 1, 8], [1, 2, 5, 8], [1, 2, 5, 8]");
  });

  test("gives the same bits every time", () => {
    const once = () =>
      exo.scope(() => {
        const give = giver(exo, "float16");
        const [k, v] = [give([1, 3, 2000, 64], 2), give([1, 3, 2000, 64], 3)];
        return give([1, 9, 1, 64], 1).attention(k, v, { scale: 0.125, mask: "none" }).toFloat32();
      });
    expect(once()).toEqual(once());
  });
});

test("what is no number or infinite comes out as from MLX", () => {
  const special = (on: Mlx, shape: readonly number[]): MxArray => {
    const size = shape.reduce((a, b) => a * b, 1);
    const given = repeatable(size, 3, 2);
    given.set([Number.NaN, Infinity, -Infinity, 100, -100, 0], 0);
    return on.fromFloat32(given, shape);
  };
  const same = [
    agree("float32", (give, on) => special(on, [4, 33]).rmsNorm(give([33], 1), 1e-5)),
    agree("float32", (give, on) => special(on, [4, 33]).siluMul(give([4, 33], 1))),
    agree("float32", (give, on) => special(on, [2, 3, 32]).linear(give([5, 32], 1))),
    agree("float32", (give, on) => {
      const [k, v] = [special(on, [1, 1, 40, 16]), give([1, 1, 40, 16], 2)];
      return give([1, 2, 20, 16], 1).attention(k, v, { scale: 1, mask: "none" });
    }),
    agree("float32", (give, on) => {
      const [k, v] = [give([1, 1, 40, 16], 2), special(on, [1, 1, 40, 16])];
      return give([1, 2, 1, 16], 1).attention(k, v, { scale: 1, mask: "none" });
    }),
  ];
  expect(same).toEqual([true, true, true, true, true]);
});

test("operands of no length give results of no length, and attention to nothing gives nothing", () => {
  const results = exo.scope(() => {
    const zeros = (...shape: number[]): MxArray => exo.zeros(shape, "float32");
    const attend = (length: number, keys: number): MxArray =>
      zeros(1, 2, length, 4).attention(zeros(1, 1, keys, 4), zeros(1, 1, keys, 4), {
        scale: 1,
        mask: "causal",
      });
    return [
      zeros(0, 8).rmsNorm(zeros(8), 1e-5),
      zeros(2, 0).siluMul(zeros(2, 0)),
      zeros(1, 2, 0, 4).rope({ dims: 4, traditional: false, base: 10, scale: 1, offset: 0 }),
      zeros(0, 8).linear(zeros(3, 8)),
      zeros(1, 0).linear(zeros(2, 0)),
      attend(0, 3),
      attend(1, 0),
    ].map((made) => [made.shape, [...made.toFloat32()]]);
  });
  expect(results).toEqual([
    [[0, 8], []],
    [[2, 0], []],
    [[1, 2, 0, 4], []],
    [[0, 3], []],
    [
      [1, 2],
      [0, 0],
    ],
    [[1, 2, 0, 4], []],
    [
      [1, 2, 1, 4],
      [0, 0, 0, 0, 0, 0, 0, 0],
    ],
  ]);
});
