/** The real model, as GGUF: its config, its blocks, and what holding it costs. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { readGguf } from "#actors/shard-worker/weights/gguf";
import { builtMlx } from "#ffi/built-library";
import { affine } from "./affine.ts";
import { safetensors, temporaryFolder, write } from "./safetensors-writer.ts";

const mlx = builtMlx();
const models = join(import.meta.dir, "..", "..", ".cache", "models", "smollm2");
const path = join(models, readdirSync(models).find((name) => name.endsWith(".gguf")) ?? "");

describe("SmolLM2", () => {
  test("has the config, names and packing of its Hugging Face original", () => {
    const checkpoint = openCheckpoint(path, mlx);
    const { config, generation, facts, source, tokenizer } = checkpoint;
    expect({
      config,
      generation,
      facts,
      tokens: tokenizer?.tokens.length,
      merges: tokenizer?.merges?.length,
    }).toEqual({
      config: {
        model_type: "llama",
        hidden_size: 576,
        num_hidden_layers: 30,
        intermediate_size: 1536,
        num_attention_heads: 9,
        num_key_value_heads: 3,
        head_dim: 64,
        rms_norm_eps: Math.fround(1e-5),
        vocab_size: 49_152,
        max_position_embeddings: 8192,
        attention_bias: false,
        mlp_bias: false,
        tie_word_embeddings: true,
        rope_parameters: { rope_theta: 100_000, rope_type: "default" },
      },
      generation: { eosTokens: [2] },
      facts: {
        quantisation: "Q4_1 as 4-bit affine (exact), Q8_0 as 8-bit affine (exact)",
        weightBytes: 98_346_240,
        tensors: 272,
      },
      tokens: 49_152,
      merges: 48_900,
    });
    expect([
      source.has("model.layers.29.mlp.down_proj.weight"),
      source.has("model.layers.30.mlp.down_proj.weight"),
      source.has("lm_head.weight"),
      source.shapeOf("model.layers.0.self_attn.k_proj.weight"),
      source.shapeOf("model.embed_tokens.weight"),
    ]).toEqual([true, false, false, [192, 72], [49_152, 144]]);
    checkpoint.close();
  });

  test("decodes, row by row, to what its blocks say", () => {
    const { tensors } = readGguf(path);
    const bytes = readFileSync(path);
    const blocksOf = (name: string) => {
      const found = tensors.find((tensor) => tensor.name === name);
      if (!found) throw new Error(name);
      return new DataView(bytes.buffer, bytes.byteOffset + found.offset, found.bytes);
    };
    const q41 = (view: DataView, row: number, column: number, columns: number) => {
      const block = (row * columns + column - (column % 32)) / 32;
      const nibble = view.getUint8(block * 20 + 4 + (column % 16));
      const q = column % 32 < 16 ? nibble & 15 : nibble >> 4;
      return view.getFloat16(block * 20, true) * q + view.getFloat16(block * 20 + 2, true);
    };
    const q80 = (view: DataView, row: number, column: number, columns: number) => {
      const block = (row * columns + column - (column % 32)) / 32;
      return view.getFloat16(block * 34, true) * view.getInt8(block * 34 + 2 + (column % 32));
    };
    const checkpoint = openCheckpoint(path, mlx);
    const { source } = checkpoint;
    mlx.scope(() => {
      const [key, up, embedding] = [
        blocksOf("blk.7.attn_k.weight"),
        blocksOf("blk.29.ffn_up.weight"),
        blocksOf("token_embd.weight"),
      ];
      const k = affine(source, "model.layers.7.self_attn.k_proj").values;
      // Row 16 of 64 in a head is GGUF's row 32: the halves of a head are interleaved there.
      const rowsOfK = Array.from({ length: 192 * 576 }, (_, i) => {
        const row = Math.floor(i / 576);
        const within = row % 64;
        return q41(key, row - within + (within % 32) * 2 + Math.floor(within / 32), i % 576, 576);
      });
      expect(k).toEqual(rowsOfK);
      const u = affine(source, "model.layers.29.mlp.up_proj").values;
      expect(u).toEqual(Array.from(u, (_, i) => q41(up, Math.floor(i / 576), i % 576, 576)));
      const slice = { axis: 0, index: 31, count: 512 };
      const e = affine(source, "model.embed_tokens", slice).values;
      expect(e).toEqual(Array.from(e, (_, i) => q80(embedding, 31 * 96 + Math.floor(i / 576), i % 576, 576)));
    });
    checkpoint.close();
  });
});

/** Loads the checkpoint named by the first argument whole, and prints the bytes it holds and what the process grew by. */
const loader = `
  const { openCheckpoint } = await import("#actors/shard-worker/weights/checkpoint");
  const { builtMlx } = await import("#ffi/built-library");
  const resident = () => Number(/VmRSS:\\s+(\\d+)/.exec(require("node:fs").readFileSync("/proc/self/status", "utf8"))?.[1]) * 1024;
  const mlx = builtMlx();
  const checkpoint = openCheckpoint(process.argv[1], mlx);
  Bun.gc(true);
  const before = resident();
  const { source } = checkpoint;
  const held = process.argv.slice(2).flatMap((module) => ["weight", "scales", "biases"].flatMap((part) => {
    const name = module + "." + part;
    return source.has(name) ? [source.tensor(name)] : [];
  }));
  checkpoint.close();
  // Each page is touched, as the first step of the model does.
  for (const array of held) mlx.scope(() => array.sum(-1).eval());
  mlx.clearCache();
  console.log(JSON.stringify({ held: checkpoint.loadedBytes(), grown: resident() - before }));
`;

test.skipIf(process.platform !== "linux")(
  "holds little more in memory than its weights, unpacked from GGUF or mapped from safetensors",
  () => {
    const folder = temporaryFolder();
    write(
      join(folder, "config.json"),
      JSON.stringify({
        model_type: "llama",
        hidden_size: 1,
        num_hidden_layers: 1,
        num_attention_heads: 1,
        intermediate_size: 1,
        vocab_size: 1,
      }),
    );
    const tensor = () => ({ dtype: "F16", shape: [4096, 512], data: new Uint8Array(4096 * 1024) });
    const names = Array.from({ length: 32 }, (_, i) => `layer${i}`);
    write(
      join(folder, "model.safetensors"),
      safetensors(Object.fromEntries(names.map((name) => [`${name}.weight`, tensor()]))),
    );
    const modules = moduleNames();
    const ratio = (checkpoint: string, wanted: readonly string[]) => {
      const { stdout, stderr } = Bun.spawnSync([process.execPath, "-e", loader, checkpoint, ...wanted], {
        cwd: join(import.meta.dir, "..", ".."),
      });
      expect(stderr.toString()).toBe("");
      const { held, grown } = JSON.parse(stdout.toString());
      return { held, within: grown <= 1.15 * held };
    };
    expect([ratio(path, modules), ratio(folder, names)]).toEqual([
      { held: 98_346_240, within: true },
      { held: 2 ** 27, within: true },
    ]);
    rmSync(folder, { recursive: true });
  },
  // Two processes that each load a model, on a machine that may be busy.
  60_000,
);

/** Every module of the model by its Hugging Face path. */
function moduleNames(): readonly string[] {
  const inside = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
    "input_layernorm",
    "post_attention_layernorm",
  ];
  const layers = Array.from({ length: 30 }, (_, layer) =>
    inside.map((name) => `model.layers.${layer}.${name}`),
  );
  return ["model.embed_tokens", "model.norm", ...layers.flat()];
}
