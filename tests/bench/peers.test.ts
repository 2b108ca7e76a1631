import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { builtMlx } from "#ffi/built-library";
import { type Measured, peersReport, peersTable } from "../../bench/peers-table.ts";
import { type Packing, randomModel } from "../../bench/peers-weights.ts";
import { freshFolder } from "../cli/exo.ts";

const SHAPE = { layers: 2, hidden: 64, feedForward: 96, heads: 4, kvHeads: 2, vocabulary: 320, context: 128 };

test("a random llama reads as a model, and has the same values in both packings", async () => {
  using folder = freshFolder();
  const mlx = builtMlx();
  const values = async (packing: Packing) => {
    const path = await randomModel(join(folder.path, `${packing}.gguf`), SHAPE, packing);
    const { config, facts, source, close } = openCheckpoint(path, mlx);
    const found = mlx.scope(() =>
      [
        "model.embed_tokens",
        "model.layers.1.self_attn.q_proj",
        "model.layers.0.mlp.down_proj",
        "lm_head",
      ].map((name) => {
        const packed = {
          ...(source.quantisation(name) ?? { mode: "affine" as const, bits: 4, groupSize: 32 }),
          weight: source.tensor(`${name}.weight`),
          scales: source.tensor(`${name}.scales`),
          biases: source.tensor(`${name}.biases`),
        };
        return [...mlx.dequantize(packed, "float32").eval().toFloat32()];
      }),
    );
    close();
    return { found, config, bytes: statSync(path).size, quantisation: facts.quantisation };
  };
  const [q40, q41] = [await values("Q4_0"), await values("Q4_1")];
  expect(q40.found).toEqual(q41.found);
  const all = q40.found.flat();
  const deviation = Math.sqrt(all.reduce((sum, each) => sum + each * each, 0) / all.length);
  expect([deviation > 0.08 && deviation < 0.16, q40.bytes < q41.bytes]).toEqual([true, true]);
  expect([q40.config.model_type, q40.config.num_hidden_layers, q40.config.tie_word_embeddings]).toEqual([
    "llama",
    2,
    false,
  ]);
});

test("with experts it reads as a qwen3_moe", async () => {
  using folder = freshFolder();
  const shape = { ...SHAPE, experts: { count: 4, used: 2 } };
  const { config, close } = openCheckpoint(
    await randomModel(join(folder.path, "moe.gguf"), shape, "Q4_0"),
    builtMlx(),
  );
  close();
  const { model_type, num_experts, num_experts_per_tok, moe_intermediate_size } = config as Record<
    string,
    unknown
  >;
  expect([model_type, num_experts, num_experts_per_tok, moe_intermediate_size]).toEqual([
    "qwen3_moe",
    4,
    2,
    96,
  ]);
});

test("sides are compared at their best number of threads, by the ratios of single rounds", () => {
  const runs = (side: Measured["side"], threads: number, speeds: readonly number[]): Measured[] =>
    speeds.map((tps, round) => ({ model: "m", side, threads, prompt: 512, round, measure: "decode", tps }));
  const measured = [
    ...runs("exo", 1, [50, 51, 52]),
    ...runs("exo", 2, [80, 120, 100]),
    ...runs("llama.cpp", 1, [60, 61, 62]),
    ...runs("llama.cpp", 2, [40, 60, 50]),
  ];
  const facts = {
    commit: "abc",
    machine: { cpu: "C", cores: 2, loadBefore: 0 },
    versions: {},
    agreement: { "m exo": 8, "m llama.cpp": 7 },
  };
  const report = peersReport(measured, { ...facts, level: "engine", output: 64, rounds: 3 });
  expect(report.rows).toEqual([
    {
      model: "m",
      measure: "decode",
      prompt: 512,
      sides: {
        exo: { threads: 2, median: 100, min: 80, max: 120 },
        "llama.cpp": { threads: 1, median: 61, min: 60, max: 62 },
      },
      ratios: { "llama.cpp": { median: 100 / 62, min: 80 / 60, max: 120 / 61 } },
    },
  ]);
  expect(peersTable(report)).toMatchInlineSnapshot(`
    "C, 2 cores, load 0.0 before, abc; medians (least–most)
    MODEL  MEASURE  PROMPT  EXO TOK/S              LLAMA.CPP TOK/S          EXO / LLAMA.CPP
    m      decode   512     100 (80.0–120, 2 thr)  61.0 (60.0–62.0, 1 thr)  1.61 (1.33–1.97)
    the same first tokens of 8 (arithmetic differs, so a few are enough): m exo 8, m llama.cpp 7
    "
  `);
});
