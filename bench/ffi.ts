/**
 * Host time of operations through ffi/: building the graph, registering in a scope, freeing. Measures no arithmetic:
 * nothing is evaluated. `bun bench/ffi.ts [--json]`. Compare numbers of one run only; the machine's load moves them all.
 */
import { Bench } from "tinybench";
import { buildModel } from "#actors/shard-worker/models/registry";
import { builtLibrary } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import { createMlx } from "#ffi/native";
import type { NativeArray } from "#ffi/native-array";
import type { TensorSource } from "#ffi/weights";

const mlx = createMlx(builtLibrary(), { device: "cpu" });
const { native, stream } = mlx;
/** So many operations per scope: about a decode step. */
const OPERATIONS = 600;

const x = mlx.full([1, 1, 576], 1, "float32").eval() as NativeArray;
const weight = mlx.full([576, 576], 1, "float32").eval();
const packed = mlx.quantize(weight, { mode: "affine", bits: 4, groupSize: 32 });
const norm = mlx.full([576], 1, "float32").eval();
const heads = x.reshape(1, 9, 1, 64).eval();
mlx.eval([packed.weight, packed.scales, ...(packed.biases ? [packed.biases] : [])]);

/** SmolLM2-135M's shape with weights of zeros, 4 bits in groups of 32. */
const config = {
  model_type: "llama", hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 30, num_attention_heads: 9,
  num_key_value_heads: 3, vocab_size: 49152, rms_norm_eps: 1e-5, rope_theta: 100000, max_position_embeddings: 8192,
  tie_word_embeddings: true, hidden_act: "silu",
}; // biome-ignore format: a table
const as = { mode: "affine", bits: 4, groupSize: 32 } as const;

function zeros(): TensorSource {
  const inputs = (name: string): number => (name.includes("down_proj") ? 1536 : 576);
  const outputs = (name: string): number =>
    name.includes("embed") ? 49152 : /gate|up_proj/.test(name) ? 1536 : /[kv]_proj/.test(name) ? 192 : 576;
  const shapeOf = (name: string): readonly number[] => {
    if (name.includes("norm")) return [576];
    return [outputs(name), name.endsWith(".weight") ? inputs(name) / 8 : inputs(name) / 32];
  };
  return {
    has: (name) => !name.endsWith(".bias"),
    shapeOf,
    quantisation: (path) => (path.includes("norm") ? undefined : as),
    tensor: (name) =>
      mlx.zeros(shapeOf(name), name.endsWith(".weight") && !name.includes("norm") ? "uint32" : "float32"),
  };
}

const model = buildModel(config, weightsOf(zeros(), mlx, { dtype: "float32" }));
const caches = model.caches();
const token = mlx.fromInt32(Int32Array.of(1), [1, 1]);

/** One decode step, built and thrown away: the caches are kept as the engine keeps them, the rest is freed. */
function decodeStep(): void {
  mlx.scope((keep) => {
    model.forward(token, caches, "last");
    for (const cache of caches) keep(cache.arrays());
  });
  for (const cache of caches) cache.trim(1);
}

const bench = new Bench({ name: "host time", time: 300, warmupTime: 200 });
const many = (name: string, operation: () => unknown): void => {
  bench.add(name, () =>
    mlx.scope(() => {
      for (let i = 0; i < OPERATIONS; i++) operation();
    }),
  );
};
many("C alone: add and free", () => native.array_free(native.add(x.handle, x.handle, stream)));
many("C alone: rank of an array", () => native.array_ndim(x.handle));
many("add", () => x.add(x));
many("add a number", () => x.add(2));
many("add, and its shape", () => x.add(x).shape);
many("reshape", () => x.reshape(1, 9, 1, 64));
many("transpose", () => heads.transpose(0, 2, 1, 3));
many("slice", () => x.slice(2, 0, 64));
many("concat", () => x.concat([x], 0));
many("linear, dense", () => x.linear(weight));
many("linear, packed", () => x.quantizedLinear(packed));
many("rmsNorm", () => x.rmsNorm(norm, 1e-5));
many("rope", () => heads.rope({ dims: 64, traditional: false, base: 10000, scale: 1, offset: 7 }));
many("attention", () => heads.attention(heads, heads, { scale: 0.125, mask: "none" }));
many("siluMul", () => x.siluMul(x));
bench.add("decode step of SmolLM2-135M, built only", decodeStep);
await bench.run();

const rows = bench.tasks.map(({ name, result }) => {
  if (result.state !== "completed") throw new Error(`${name}: ${result.state}`);
  const per = name.startsWith("decode") ? 1 : OPERATIONS;
  const nanoseconds = (milliseconds: number): number => Math.round((milliseconds * 1e6) / per);
  const { p50, p75, min } = result.latency;
  return { name, nsMedian: nanoseconds(p50), nsP75: nanoseconds(p75), nsMin: nanoseconds(min) };
});
if (process.argv.includes("--json")) console.log(JSON.stringify({ versions: builtLibrary().versions, rows }));
else console.table(rows);
