import { expect, test } from "bun:test";
import type { Dtype, MxArray, Packed, Quantisation } from "./array.ts";
import { builtMlx } from "./built-library.ts";
import { type CursorOptions, weightsOf } from "./cursor.ts";
import { isPacked } from "./nn/linear.ts";
import { createShapes } from "./shapes.ts";
import type { Collective, TensorSlice, TensorSource, Weights } from "./weights.ts";

const mlx = builtMlx();

/** A checkpoint in memory that slices as files do, and remembers what it was asked for. */
function memorySource(
  tensors: Readonly<Record<string, MxArray>>,
  packed: Readonly<Record<string, Quantisation>> = {},
): TensorSource & { readonly asked: string[] } {
  const asked: string[] = [];
  const named = (name: string): MxArray => {
    const tensor = tensors[name];
    if (!tensor) throw new Error(`no tensor ${name}`);
    return tensor;
  };
  return {
    asked,
    has: (name) => name in tensors,
    shapeOf: (name) => named(name).shape,
    quantisation: (path) => packed[path],
    tensor(name, slice?: TensorSlice) {
      asked.push(slice ? `${name} ${slice.axis}:${slice.index}/${slice.count}` : name);
      const whole = named(name);
      const size = slice ? (whole.shape[slice.axis] ?? 0) / slice.count : 0;
      return slice
        ? whole.slice(slice.axis, slice.index * size, (slice.index + 1) * size)
        : whole.contiguous();
    },
  };
}

const wave = (shape: readonly number[], step: number, dtype: Dtype = "float32"): MxArray =>
  mlx
    .fromFloat32(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * i * step + i)),
      shape,
    )
    .astype(dtype);
const furthest = (a: MxArray, b: MxArray): number => {
  const [left, right] = [a.toFloat32(), b.toFloat32()];
  return left.reduce(
    (most, x, i) => Math.max(most, Math.abs(x - (right[i] ?? Number.NaN))),
    left.length === right.length ? 0 : Number.NaN,
  );
};
const partsOf = (name: string, { weight, scales, biases }: Packed): Record<string, MxArray> => ({
  [`${name}.weight`]: weight,
  [`${name}.scales`]: scales,
  ...(biases && { [`${name}.biases`]: biases }),
});
const options: CursorOptions = { dtype: "float32" };
const collective: Collective = { sum: (part) => part, gather: (part) => part };
const ranks = (source: TensorSource, dtype: Dtype = "float32"): readonly [Weights, Weights] => [
  weightsOf(source, mlx, { dtype, rank: 0, world: 2, collective }),
  weightsOf(source, mlx, { dtype, rank: 1, world: 2, collective }),
];

/** One layer, dense and packed, each with a bias: all of it, that of two ranks, and what goes through it. */
function cutLayer() {
  const as: Quantisation = { mode: "affine", bits: 4, groupSize: 32 };
  const dense = wave([16, 128], 0.2);
  const tensors = {
    "m.dense.weight": dense,
    "m.dense.bias": wave([16], 0.5),
    "m.packed.bias": wave([16], 0.9),
    ...partsOf("m.packed", mlx.quantize(dense, as)),
  };
  const source = memorySource(tensors, { "m.packed": as });
  const [first, second] = ranks(source);
  const whole = weightsOf(source, mlx, options).at("m");
  return { whole, first: first.at("m"), second: second.at("m"), x: wave([1, 3, 128], 0.3) };
}

test("two ranks' columns side by side, and their rows' sum, are the whole layer, bias once, dense and packed", () => {
  mlx.scope(() => {
    const { whole, first, second, x } = cutLayer();
    const differences = ["dense", "packed"].map((name) => {
      const full = whole.linear(name)(x);
      const columns = first
        .column(name)(x)
        .concat([second.column(name)(x)], -1);
      const rows = first
        .row(name)(x.slice(-1, 0, 64))
        .add(second.row(name)(x.slice(-1, 64, 128)));
      return [furthest(full, columns) < 1e-4, furthest(full, rows) < 1e-4];
    });
    expect(differences).toEqual([
      [true, true],
      [true, true],
    ]);
  });
});

test("parts of a layer's columns are taken in their order, also one that another rank has too, dense and packed", () => {
  mlx.scope(() => {
    const { whole, second, x } = cutLayer();
    const near = ["dense", "packed"].map((name) => {
      const full = whole.linear(name)(x);
      const part = (index: number) => full.slice(-1, 4 * index, 4 * index + 4);
      return [[2], [1, 2], [3, 3, 0]].map((indices) => {
        const [first, ...others] = indices.map(part) as [MxArray, ...MxArray[]];
        return furthest(second.column(name, { indices, count: 4 })(x), first.concat(others, -1)) < 1e-4;
      });
    });
    expect(near).toEqual([
      [true, true, true],
      [true, true, true],
    ]);
  });
});

test("experts are sliced inside each expert", () => {
  mlx.scope(() => {
    const as: Quantisation = { mode: "affine", bits: 8, groupSize: 32 };
    const dense = wave([4, 8, 128], 0.2);
    const tensors = {
      "dense.weight": dense,
      "dense.bias": wave([4, 8], 0.5),
      ...partsOf("packed", mlx.quantize(dense, as)),
    };
    const source = memorySource(tensors, { packed: as });
    const whole = weightsOf(source, mlx, options);
    const [first, second] = ranks(source);
    const x = wave([1, 2, 1, 1, 128], 0.3);
    const ids = mlx.fromInt32(Int32Array.of(0, 3, 2, 1), [1, 2, 2]);
    const differences = ["dense", "packed"].map((name) => {
      const full = whole.experts(name, "column")(x, ids, false);
      const columns = [first, second].map((rank) => rank.experts(name, "column")(x, ids, false)) as [
        MxArray,
        MxArray,
      ];
      const [a, b] = [x.slice(-1, 0, 64), x.slice(-1, 64, 128)];
      const rows = first
        .experts(name, "row")(a, ids, false)
        .add(second.experts(name, "row")(b, ids, false));
      return [
        furthest(full, columns[0].concat([columns[1]], -1)) < 1e-4,
        furthest(full, rows) < 1e-4,
        full.shape,
      ];
    });
    expect(differences).toEqual([
      [true, true, [1, 2, 2, 1, 8]],
      [true, true, [1, 2, 2, 1, 8]],
    ]);
  });
});

test("a split that would cut a quantisation group or a row is refused, naming the tensor", () => {
  mlx.scope(() => {
    const as: Quantisation = { mode: "affine", bits: 4, groupSize: 32 };
    const tensors = {
      "odd.weight": wave([3, 32], 1),
      ...partsOf("wide", mlx.quantize(wave([4, 96], 1), as)),
    };
    const [rank] = ranks(memorySource(tensors, { wide: as }));
    expect(() => rank.column("odd")).toThrow(
      "odd.weight has 3 values along axis 0, which 2 ranks cannot share evenly",
    );
    expect(() => rank.row("wide")).toThrow(
      "wide.scales has 3 quantisation groups along axis 1, which 2 ranks",
    );
  });
});

test("weights are held in the computing type where that takes no more memory, and results keep that type", () => {
  const held = (stored: Dtype, dtype: Dtype): readonly string[] =>
    mlx.scope(() => {
      const as: Quantisation = { mode: "affine", bits: 4, groupSize: 32 };
      const tensors = {
        "l.weight": wave([8, 64], 0.1, stored),
        "n.weight": wave([64], 0.1, stored),
        ...partsOf("p", mlx.quantize(wave([8, 64], 0.1, stored), as)),
      };
      const weights = weightsOf(memorySource(tensors, { p: as }), mlx, { dtype });
      const x = wave([1, 64], 0.2, dtype);
      const packed = weights.matrix("p");
      return [
        (weights.matrix("l") as MxArray).dtype,
        isPacked(packed) ? packed.scales.dtype : "dense",
        ...[weights.linear("l")(x), weights.linear("p")(x), weights.rmsNorm("n", 1e-5).of(x)].map(
          (y) => y.dtype,
        ),
      ];
    });
  const all = (dtype: Dtype): readonly Dtype[] => Array.from({ length: 5 }, () => dtype);
  expect({
    "float32 in float16": held("float32", "float16"),
    "float16 in bfloat16": held("float16", "bfloat16"),
    "float16 in float32": held("float16", "float32"),
  }).toEqual({
    "float32 in float16": all("float16"),
    "float16 in bfloat16": all("bfloat16"),
    "float16 in float32": ["float16", "float16", "float32", "float32", "float32"],
  });
});

test("a float16 weight under float32 is computed in float32", () => {
  mlx.scope(() => {
    const stored = wave([8, 64], 0.1, "float16");
    const weights = weightsOf(memorySource({ "l.weight": stored }), mlx, options);
    const x = wave([1, 64], 0.2);
    expect(furthest(weights.linear("l")(x), x.linear(stored.astype("float32")))).toBeLessThan(1e-6);
  });
});

test("an embedding is read once for its rows and for the head, and its rows have the computing type", () => {
  mlx.scope(() => {
    const as: Quantisation = { mode: "affine", bits: 8, groupSize: 32 };
    const table = wave([10, 64], 0.1, "float16");
    const source = memorySource({ "e.weight": table, ...partsOf("p", mlx.quantize(table, as)) }, { p: as });
    const weights = weightsOf(source, mlx, options);
    const ids = mlx.fromInt32(Int32Array.of(3, 9), [1, 2]);
    const seen = ["e", "p"].map((name) => {
      const rows = weights.embedding(name).rows(ids);
      const logits = weights.embedding(name).asLinear(rows);
      return [rows.dtype, rows.shape, logits.shape, furthest(rows, table.take(ids, 0)) < 0.01];
    });
    expect(seen).toEqual(Array.from({ length: 2 }, () => ["float32", [1, 2, 64], [1, 2, 10], true]));
    expect(source.asked).toEqual(["e.weight", "p.weight", "p.scales", "p.biases"]);
  });
});

test("loading adds what it holds and nothing else", () => {
  mlx.scope(() => {
    const source = memorySource({
      "l.weight": wave([512, 512], 0.1).eval(),
      "n.weight": wave([512], 0.1, "float16").eval(),
    });
    mlx.clearCache();
    const [handles, bytes] = [mlx.liveHandles(), mlx.memory().activeBytes];
    const weights = weightsOf(source, mlx, { dtype: "bfloat16" });
    weights.linear("l");
    weights.rmsNorm("n", 1e-5);
    expect([mlx.liveHandles() - handles, mlx.memory().activeBytes - bytes]).toEqual([
      2,
      512 * 512 * 2 + 512 * 2,
    ]);
  });
});

test("paths, presence and bare tensors, over the fake as well", () => {
  const fake = createShapes();
  const source: TensorSource = {
    has: (name) => ["a.0.b.weight", "a.0.c"].includes(name),
    shapeOf: () => [4, 8],
    quantisation: () => undefined,
    tensor: (name, slice) => fake.zeros(name === "a.0.c" ? [3] : slice ? [2, 8] : [4, 8], "float32"),
  };
  const weights = weightsOf(source, fake, { dtype: "float32", rank: 1, world: 2, collective }).at("a").at(0);
  expect({
    path: weights.path,
    has: ["b", "b.weight", "c", "b.bias"].map((name) => weights.has(name)),
    bare: weights.tensor("c").shape,
    column: weights.column("b")(fake.zeros([5, 8], "float32")).shape,
  }).toEqual({ path: "a.0", has: [true, true, true, false], bare: [3], column: [5, 2] });
});
