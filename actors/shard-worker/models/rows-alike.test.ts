/** How many rows are computed alike is the kernels' to say, and they are C++: what is known of it here must be what stands there. */
import { expect, test } from "bun:test";
import { ATTENTION_ROWS, alikeIn, PIECES_CHANGE, PRODUCT_ROWS } from "./rows-alike.ts";

test.each([
  ["kernels.hpp", PRODUCT_ROWS],
  ["kernels_attention.cpp", ATTENTION_ROWS],
])("the kernels' own bound in %s is the one that answers are replayed by", async (file, rows) => {
  const source = await Bun.file(`${import.meta.dir}/../../../mlx-c/shim/${file}`).text();
  const found = [...source.matchAll(/constexpr size_t kFewRows = (\d+);/g)].map(([, number]) =>
    Number(number),
  );
  expect(found).toEqual([rows]);
});

test("the pieces that attention is cut in change where they are said to", async () => {
  const source = await Bun.file(`${import.meta.dir}/../../../mlx-c/shim/kernels_groups.cpp`).text();
  const [keys, most] = ["kKeysPerPiece", "kPiecesMost"].map((name) =>
    Number(source.match(new RegExp(`constexpr size_t ${name} = (\\d+);`))?.[1]),
  );
  expect((keys ?? 0) * (most ?? 0)).toBe(PIECES_CHANGE);
});

/** Queries of one token and key head are rows of attention; where a ring or a rotation remembers how tokens came, they come alike. */
test.each([
  [{ heads: 8, keyHeads: 8 }, "exo", 8, true],
  [{ heads: 32, keyHeads: 8 }, "exo", 4, true],
  [{ heads: 64, keyHeads: 8 }, "exo", 2, true],
  [{ heads: 64, keyHeads: 2 }, "exo", 1, true],
  [{ heads: 8, keyHeads: 8 }, "mlx", 1, false],
  [{ heads: 32, keyHeads: 8, num_experts: 8 }, "exo", 4, false],
  [{ heads: 8, keyHeads: 8, model_type: "mistral", sliding_window: 4096 }, "exo", 1, false],
  [{ heads: 8, keyHeads: 8, model_type: "mistral", sliding_window: null }, "exo", 8, true],
  [{ heads: 8, keyHeads: 8, rope_scaling: { type: "dynamic", factor: 2 } }, "exo", 1, false],
] as const)(
  "%o by %s: %d tokens at once, chunks alike: %p",
  ({ heads, keyHeads, ...more }, kernels, rows, chunks) => {
    const config = {
      model_type: "llama",
      hidden_size: 64,
      num_hidden_layers: 1,
      intermediate_size: 64,
      num_attention_heads: heads,
      num_key_value_heads: keyHeads,
      rms_norm_eps: 1e-5,
      vocab_size: 32,
      ...more,
    };
    expect(alikeIn(config, kernels)).toEqual({ rows, chunks });
  },
);
