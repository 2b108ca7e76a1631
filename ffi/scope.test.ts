import { expect, test } from "bun:test";
import type { MxArray } from "./array.ts";
import { builtMlx } from "./built-library.ts";
import { MlxError } from "./call.ts";
import { ShapeMlx } from "./shapes.ts";

const mlx = builtMlx();
const ones = (size: number): MxArray => mlx.full([size], 1, "float32");

/** What `work` adds to the live handles, counted here and in C. */
function growth(work: () => unknown): { readonly here: number; readonly inC: number } {
  const [here, inC] = [mlx.liveHandles(), mlx.native.exo_live_arrays()];
  work();
  return { here: mlx.liveHandles() - here, inC: mlx.native.exo_live_arrays() - inC };
}
ones(1).add(2).dispose(); // Makes the shared constants that the counts below would otherwise see.

test("a scope frees what it made, and what it returns or keeps passes to the one outside", () => {
  const held: MxArray[] = [];
  const grown = growth(() => {
    const sum = mlx.scope((keep) => {
      const inner = mlx.scope(() => ({ list: [ones(2), ones(3)], unused: undefined, name: "inner" }));
      held.push(keep(ones(4).add(inner.list[0]?.sum(0) ?? 0)));
      return inner.list[1]?.add(1);
    });
    if (sum) held.push(sum);
  });
  const values = held.map((array) => [...array.toFloat32()]);
  const afterwards = growth(() => {
    for (const array of held) array.dispose();
  });
  expect({ grown, values, afterwards }).toEqual({
    grown: { here: 2, inC: 2 },
    values: [
      [3, 3, 3, 3],
      [2, 2, 2],
    ],
    afterwards: { here: -2, inC: -2 },
  });
});

test("a scope that throws frees everything, its inner scopes' arrays too", () => {
  const grown = growth(() => {
    expect(() =>
      mlx.scope(() => {
        ones(2).add(1);
        mlx.scope(() => ones(2).matmul(ones(3).reshape(3, 1)));
      }),
    ).toThrow(MlxError);
  });
  expect(grown).toEqual({ here: 0, inC: 0 });
});

test("an array of an outer scope survives an inner one, and disposing twice counts once", () => {
  const grown = growth(() =>
    mlx.scope(() => {
      const outer = ones(2);
      mlx.scope((keep) => [keep(outer), outer.add(1)] as const);
      expect([...outer.toFloat32()]).toEqual([1, 1]);
      outer.dispose();
      outer.dispose();
    }),
  );
  expect(grown).toEqual({ here: 0, inC: 0 });
});

test("an asynchronous scope is refused", () => {
  expect(() => mlx.scope(async () => ones(1))).toThrow("cannot be async");
});

test("an array used after it was freed is an error, in every place an array can stand", () => {
  mlx.scope(() => {
    const gone = ones(2);
    gone.dispose();
    const x = mlx.full([1, 1, 2, 2], 1, "float32");
    const uses: Record<string, () => unknown> = {
      shape: () => gone.shape,
      left: () => gone.add(1),
      right: () => ones(2).add(gone),
      list: () => ones(2).concat([gone], 0),
      eval: () => mlx.eval([gone]),
      weight: () => x.rmsNorm(gone, 1),
      bias: () =>
        ones(2)
          .reshape(1, 2)
          .linear(mlx.full([2, 2], 1, "float32"), gone),
      freqs: () => x.rope({ dims: 2, traditional: false, freqs: gone, scale: 1, offset: 0 }),
      mask: () => x.attention(x, x, { scale: 1, mask: gone }),
      values: () => gone.toFloat32(),
      key: () => mlx.categorical(x, gone),
    };
    const said = Object.entries(uses).map(([name, use]) => {
      try {
        use();
        return `${name}: nothing`;
      } catch (error) {
        return `${name}: ${/used after it was freed/.test(String(error)) ? "refused" : String(error)}`;
      }
    });
    expect(said).toEqual(Object.keys(uses).map((name) => `${name}: refused`));
  });
});

test("errors carry the operation, the shapes and MLX's reason without build paths", () => {
  mlx.scope(() => {
    const [a, b] = [mlx.zeros([2, 3], "float32"), mlx.zeros([4, 5], "float32")];
    const failures = [
      () => a.add(b),
      () => a.matmul(b),
      () => a.concat([b], 0),
      () => a.reshape(7),
      () => a.take(b, 9),
    ];
    const seen = failures.map((fail) => {
      try {
        fail();
        return "nothing";
      } catch (error) {
        if (!(error instanceof MlxError)) return String(error);
        const { operation, shapes, message } = error;
        return { operation, shapes, plain: !/\.cpp|\/.*\//.test(message) && message.length < 250 };
      }
    });
    const both = [
      [2, 3],
      [4, 5],
    ];
    expect(seen).toEqual([
      { operation: "add", shapes: both, plain: true },
      { operation: "matmul", shapes: both, plain: true },
      { operation: "concatenate_axis", shapes: both, plain: true },
      { operation: "reshape", shapes: [[2, 3]], plain: true },
      { operation: "take_axis", shapes: both, plain: true },
    ]);
  });
});

test("100,000 operations and as many failures' worth of scopes leave handles and memory flat", () => {
  const x = mlx.full([64], 1, "float32").eval();
  const step = (): void =>
    mlx.scope(() => {
      let y = x;
      for (let i = 0; i < 100; i++) y = y.add(x);
      y.eval();
      expect(() => x.add(mlx.zeros([3], "float32"))).toThrow();
    });
  for (let i = 0; i < 200; i++) step();
  Bun.gc(true);
  const [bytes, resident] = [mlx.memory().activeBytes, process.memoryUsage.rss()];
  const grown = growth(() => {
    for (let i = 0; i < 1000; i++) step();
  });
  Bun.gc(true);
  expect(grown).toEqual({ here: 0, inC: 0 });
  expect(mlx.memory().activeBytes - bytes).toBe(0);
  // Not exact: the allocators below us round. 100,000 leaked handles would be over 30 MB.
  expect((process.memoryUsage.rss() - resident) / 2 ** 20).toBeLessThan(16);
  x.dispose();
});

test("the fake counts handles and refuses freed arrays the same way", () => {
  const fake = new ShapeMlx();
  const kept = fake.scope((keep) => {
    fake.zeros([2], "float32").add(1);
    return keep(fake.zeros([3], "float32"));
  });
  const live = fake.liveHandles();
  kept.dispose();
  expect([live, fake.liveHandles()]).toEqual([1, 0]);
  expect(() => kept.add(1)).toThrow("used after it was freed");
});
