/** What a token finds in caches of 9,000 rows, and a quantised product, as this process's threads compute them: one line of hex. */
import { builtMlx } from "#ffi/built-library";
import { repeatable } from "#ffi/plain-arrays";

const [HEADS, KV_HEADS, DIMS, ROWS] = [8, 2, 64, 9_000];
const exo = builtMlx({ device: "cpu", kernels: "exo" });
const hash = new Bun.CryptoHasher("sha256");
for (const type of ["float16", "q8"] as const) {
  exo.scope(() => {
    const given = (shape: readonly number[], seed: number) =>
      exo.fromFloat32(
        repeatable(
          shape.reduce((a, b) => a * b, 1),
          seed,
          2,
        ),
        shape,
      );
    const cache = (seed: number) => {
      const rows = given([1, KV_HEADS, ROWS, DIMS], seed);
      return (type === "q8" ? rows.packRows() : rows.astype(type)).eval();
    };
    const slot = { keys: cache(1), values: cache(2), position: ROWS - 1, row: ROWS - 1, seen: ROWS };
    const fresh = (seed: number) => given([1, 1, KV_HEADS * DIMS], seed);
    const mixed = given([1, 1, HEADS * DIMS], 3).cachedAttention(fresh(4), fresh(5), [slot], { scale: 0.3 });
    hash.update(new Uint8Array(mixed.toFloat32().buffer));
  });
}
console.log(hash.digest("hex"));
