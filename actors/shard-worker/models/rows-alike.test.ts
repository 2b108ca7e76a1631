/** How many rows are computed alike is the kernels' to say, and they are C++: what is known of it here must be what stands there. */
import { expect, test } from "bun:test";
import { ATTENTION_ROWS, PRODUCT_ROWS, rowsAlike } from "./rows-alike.ts";

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

/** Queries of one token and key head are rows of attention; what is not ours to compute is computed one by one. */
test.each([
  [{ heads: 8, keyHeads: 8 }, "4-bit affine, group 32", "exo", 8],
  [{ heads: 32, keyHeads: 8 }, "4-bit affine, group 32", "exo", 4],
  [{ heads: 64, keyHeads: 8 }, "Q4_K decoded to 8-bit", "exo", 2],
  [{ heads: 64, keyHeads: 2 }, "Q8_0", "exo", 1],
  [{ heads: 8, keyHeads: 8 }, "bfloat16", "exo", 1],
  [{ heads: 8, keyHeads: 8 }, "4-bit affine, group 32", "mlx", 1],
  [{ heads: 8, keyHeads: 8, num_experts: 8 }, "4-bit affine, group 32", "exo", 1],
] as const)(
  "%o in %s by %s: %d tokens at once",
  ({ heads, keyHeads, ...more }, quantisation, kernels, rows) => {
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
    expect(rowsAlike(config, quantisation, kernels)).toBe(rows);
  },
);
