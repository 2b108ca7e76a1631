/** Every kind of argument through real C functions: a wrong width or order shows as a wrong number here. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { builtMlx } from "./built-library.ts";
import { some, someFloat } from "./call.ts";
import { dtypeCode, dtypes } from "./dtypes.ts";
import type { NativeArray } from "./native-array.ts";

const mlx = builtMlx();
const { native, stream } = mlx;
const values = (handle: number): number[] => mlx.scope(() => [...mlx.adopt(handle).toFloat32()]);

test("64-bit integers arrive whole: a random key is its seed in two words", () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (seed) =>
      mlx.scope(() => {
        const [high = 0, low = 0] = mlx.randomKey(seed).toInt32();
        expect((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)).toBe(seed);
      }),
    ),
  );
});

test("optional floats arrive as given or as absent", () => {
  const x = mlx.fromFloat32(Float32Array.of(1, 1, 1, 1), [1, 1, 4]) as NativeArray;
  const periods = mlx.fromFloat32(Float32Array.of(1, 100 ** 0.5), [2]) as NativeArray;
  const based = native.fast_rope(x.handle, 4, false, someFloat(100), 0.5, 3, null, stream);
  const given = native.fast_rope(x.handle, 4, false, someFloat(undefined), 0.5, 3, periods.handle, stream);
  const [a, b] = [1.5, 0.15];
  const expected = [
    Math.cos(a) - Math.sin(a),
    Math.cos(b) - Math.sin(b),
    Math.cos(a) + Math.sin(a),
    Math.cos(b) + Math.sin(b),
  ];
  const difference = [...values(based), ...values(given)].map((value, i) =>
    Math.abs(value - (expected[i % 4] ?? 0)),
  );
  expect(Math.max(...difference)).toBeLessThan(1e-6);
  for (const array of [x, periods]) array.dispose();
});

test("optional integers and types arrive as given or as absent", () => {
  mlx.scope(() => {
    const weight = mlx.fromFloat32(
      Float32Array.from({ length: 256 }, (_, i) => Math.sin(i)),
      [2, 128],
    );
    const shapes = [32, 64, 128].flatMap((groupSize) =>
      [2, 3, 4, 5, 6, 8].map((bits) => {
        const packed = mlx.quantize(weight, { mode: "affine", bits, groupSize });
        return [packed.weight.shape.at(-1), packed.scales.shape.at(-1)].join(" ");
      }),
    );
    expect(shapes).toEqual(
      [32, 64, 128].flatMap((group) => [2, 3, 4, 5, 6, 8].map((bits) => `${bits * 4} ${128 / group}`)),
    );
    const packed = mlx.quantize(weight, { mode: "affine", bits: 4, groupSize: 64 });
    const [w, s, b] = [packed.weight, packed.scales, packed.biases].map(
      (part) => (part as NativeArray).handle,
    );
    const types = [undefined, "float16", "bfloat16", "float32"].map((dtype) => {
      const as = some(dtype === undefined ? undefined : dtypeCode(dtype as "float16"));
      const handle = native.dequantize(w ?? 0, s ?? 0, b ?? 0, some(64), some(4), "affine", null, as, stream);
      return mlx.adopt(handle).dtype;
    });
    expect(types).toEqual(["float32", "float16", "bfloat16", "float32"]);
  });
});

test("booleans, floats and doubles arrive in their places", () => {
  mlx.scope(() => {
    const x = mlx.fromFloat32(Float32Array.of(1, 2, 4), [3]) as NativeArray;
    const sums = [
      [false, true],
      [true, true],
      [false, false],
      [true, false],
    ].map(([reverse, inclusive]) =>
      values(native.cumsum_axis(x.handle, 0, reverse ?? false, inclusive ?? false, some(undefined), stream)),
    );
    expect(sums).toEqual([
      [1, 3, 7],
      [7, 6, 4],
      [0, 1, 3],
      [6, 4, 0],
    ]);
    const row = mlx.fromFloat32(Float32Array.of(1, 10), [1, 2]) as NativeArray;
    const column = mlx.fromFloat32(Float32Array.of(3, 5), [2, 1]) as NativeArray;
    const one = mlx.full([1, 1], 1, "float32") as NativeArray;
    expect(values(native.addmm(one.handle, row.handle, column.handle, 0.5, 2, stream))).toEqual([28.5]);
    expect(values(native.arange(0.5, 2.75, 0.75, dtypeCode("float32"), stream))).toEqual([0.5, 1.25, 2]);
  });
});

test("arguments that spill onto the stack keep their order", () => {
  mlx.scope(() => {
    // One channel in, one out; a 1x1 kernel that doubles, so the output shape alone tells stride, padding and dilation.
    const image = mlx.full([1, 9, 13, 1], 1, "float32") as NativeArray;
    const kernel = mlx.full([1, 2, 3, 1], 1, "float32") as NativeArray;
    const shape = (handle: number): readonly number[] => mlx.adopt(handle).shape;
    // out = (size + 2 padding - dilation (kernel - 1) - 1) / stride + 1
    expect(shape(native.conv2d(image.handle, kernel.handle, 2, 3, 1, 4, 3, 5, 1, stream))).toEqual([
      1, 4, 4, 1,
    ]);
    const general = native.conv_general(
      image.handle, kernel.handle,
      Int32Array.of(2, 3), 2, Int32Array.of(1, 4), 2, Int32Array.of(3, 2), 2, Int32Array.of(3, 5), 2, Int32Array.of(1, 2), 2,
      1, true, stream,
    ); // biome-ignore format: pairs
    expect(shape(general)).toEqual([1, 5, 7, 1]);
  });
});

test("every element type goes in and comes out", () => {
  const back = mlx.scope(() =>
    dtypes.map((dtype) => [dtype, mlx.scalar(1, dtype).dtype, mlx.scalar(1, dtype).item()]),
  );
  expect(back).toEqual(dtypes.map((dtype) => [dtype, dtype, 1]));
});

test("16-bit scalars round as MLX's own conversion does", () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, min: -60000, max: 60000 }), (value) =>
      mlx.scope(() => {
        for (const dtype of ["float16", "bfloat16"] as const) {
          expect(mlx.scalar(value, dtype).item()).toBe(mlx.scalar(value, "float32").astype(dtype).item());
        }
      }),
    ),
  );
});
