/** Tiny random models of every architecture against the logits that transformers computed in float32. */
import { describe, expect, test } from "bun:test";
import type { Model } from "#actors/shard-worker/models/model";
import { builtLibrary } from "#ffi/built-library";
import { createMlx, type NativeMlx } from "#ffi/native";
import { cases, type Recorded, recorded, withTiny } from "./recorded-tiny.ts";

/** In standard deviations of the logits: models.md 9.2 finds any mistake above it, and rounding well below. */
const BOUND = 5e-5;
const VOCABULARY = 320;
/** Its angles depend on how long the text is when each token comes, so only the whole prompt at once is defined. */
const WHOLE_ONLY: ReadonlySet<string> = new Set(["llama-dynamic"]);
/** A run for one set of kernels (tests/kernels) leaves MLX's own to the others. */
const PATHS = process.env.EXO_CPU_KERNELS ? (["exo"] as const) : (["exo", "mlx"] as const);

/** Logits [length, vocabulary] of `ids`, fed in pieces of `chunk`. */
function logitsOf(mlx: NativeMlx, model: Model, ids: readonly number[], chunk: number): Float32Array {
  const caches = model.caches();
  const all = new Float32Array(ids.length * VOCABULARY);
  for (let from = 0; from < ids.length; from += chunk) {
    const piece = ids.slice(from, from + chunk);
    const logits = mlx.scope((keep) => {
      const input = mlx.fromInt32(Int32Array.from(piece), [1, piece.length]);
      const values = model.forward(input, caches, "all").toFloat32();
      for (const cache of caches) keep(cache.arrays());
      return values;
    });
    all.set(logits, from * VOCABULARY);
  }
  for (const cache of caches) cache.dispose();
  return all;
}

/** The largest difference at the recorded positions, in standard deviations. */
function apart(got: Float32Array, { positions, standardDeviation }: Recorded, wanted: Float32Array): number {
  let most = 0;
  positions.forEach((position, row) => {
    for (let id = 0; id < VOCABULARY; id++) {
      const difference = Math.abs(
        (got[position * VOCABULARY + id] ?? Number.NaN) - (wanted[row * VOCABULARY + id] ?? 0),
      );
      most = difference > most || Number.isNaN(difference) ? difference : most;
    }
  });
  return most / standardDeviation;
}

for (const kernels of PATHS) {
  const mlx = createMlx(builtLibrary(), { device: "cpu", kernels });
  describe(`${kernels} products`, () => {
    test.each(cases)(
      "%s computes transformers' logits, whole, in chunks and token by token",
      async (name) => {
        const known = await recorded(name);
        const wanted = new Float32Array(Uint8Array.fromBase64(known.logits).buffer);
        const far = await withTiny(name, mlx, (load, ids) => {
          const { model } = load();
          const chunks = WHOLE_ONLY.has(name) ? [ids.length] : [ids.length, 16, 1];
          return chunks
            .map((chunk) => [chunk, apart(logitsOf(mlx, model, ids, chunk), known, wanted)] as const)
            .filter(([, distance]) => !(distance <= BOUND));
        });
        expect(far).toEqual([]);
      },
    );
  });
}
