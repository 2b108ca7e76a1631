/**
 * Tensors out of GGUF files: each block type against values recorded from the `gguf` package
 * (tests/parity/record_ggml.py), rows put back in order, slices. The real model: smollm2.test.ts.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Checkpoint, openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { ggmlType } from "#actors/shard-worker/weights/ggml-types";
import { builtMlx } from "#ffi/built-library";
import type { TensorSource } from "#ffi/weights";
import recorded from "../parity/recorded/ggml-blocks.json";
import { affine } from "./affine.ts";
import type { GgufTensorToWrite } from "./gguf-writer.ts";
import { f32, u32 } from "./gguf-writer.ts";
import { refusal } from "./refusal.ts";
import { bytesOf, temporaryFolder, write } from "./safetensors-writer.ts";
import { attention, dense, experts, F32, outside, tinyLlama } from "./tiny-models.ts";

const mlx = builtMlx();
const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, "model.gguf");

function opened<T>(bytes: Uint8Array, work: (checkpoint: Checkpoint) => T): T {
  const checkpoint = openCheckpoint(write(file, bytes), mlx);
  try {
    return mlx.scope(() => work(checkpoint));
  } finally {
    checkpoint.close();
  }
}

const base64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "base64"));
const layer = "model.layers.0";

describe("blocks decode to what the gguf package says:", () => {
  for (const [name, { type, blocks, values }] of Object.entries(recorded)) {
    const truth = new Float32Array(base64(values).buffer);
    const held = ggmlType(type)?.held;
    if (held?.kind !== "packed") throw new Error(`${name} is not packed`);
    // Two rows, so that the second one's place is checked too.
    const tensor = { name: "blk.0.ffn_up.weight", type, shape: [2, truth.length / 2], data: base64(blocks) };
    const bytes = tinyLlama({}, [...outside, ...attention, tensor]);

    if (held.as.mode === "mxfp4") {
      test(`${name}, exactly`, () =>
        opened(bytes, ({ source }) => {
          const path = `${layer}.mlp.up_proj`;
          const packed = {
            ...held.as,
            weight: source.tensor(`${path}.weight`),
            scales: source.tensor(`${path}.scales`),
          };
          expect(source.has(`${path}.biases`)).toBe(false);
          expect(mlx.dequantize(packed, "float32").toFloat32()).toEqual(truth);
        }));
      continue;
    }
    test(`${name}, ${{ none: "exactly", scales: "but for scales in float16", steps: "within half a step of 256" }[held.loss]}`, () =>
      opened(bytes, ({ source }) => {
        const { values: found, scales, biases } = affine(source, `${layer}.mlp.up_proj`);
        const worst = found.map((value, i) => {
          const group = truth.subarray(i - (i % 32), i - (i % 32) + 32);
          const range = Math.max(...group) - Math.min(...group);
          const [scale = 0, bias = 0] = [scales[Math.floor(i / 32)], biases[Math.floor(i / 32)]];
          // Recorded values are float32 themselves; float16 rounds by 2^-11.
          const rounding = Math.max(...group.map(Math.abs)) * 2 ** -23;
          const half = (Math.abs(scale) * 2 ** held.as.bits + Math.abs(bias)) * 2 ** -11;
          const bound = { none: 0, scales: half, steps: range / 510 + half }[held.loss];
          return Math.abs(value - (truth[i] ?? 0)) / (bound + rounding);
        });
        expect(Math.max(...worst)).toBeLessThanOrEqual(1);
      }));
  }
});

describe("a llama file's", () => {
  test("rows of queries and keys are put back in order, of weights and biases, packed or not; values are not", () => {
    const bias = (name: string, rows: number): GgufTensorToWrite => ({
      name: `blk.0.${name}.bias`,
      type: F32,
      shape: [rows],
      data: bytesOf(Float32Array.from({ length: rows }, (_, i) => i)),
    });
    // Row r of a packed tensor has the scale r + 1, so that scales tell rows.
    const rows = (name: string, count: number): GgufTensorToWrite => ({
      name: `blk.0.${name}.weight`,
      type: 2,
      shape: [count, 64],
      data: Buffer.concat(
        Array.from({ length: count }, (_, r) => {
          const block = new Uint8Array(36).fill(r);
          for (const at of [0, 18]) new DataView(block.buffer).setFloat16(at, r + 1, true);
          return block;
        }),
      ),
    });
    const rest = attention.filter(({ name }) => !/attn_[qv]/.test(name));
    const bytes = tinyLlama({}, [
      ...outside,
      ...rest,
      ...dense,
      rows("attn_q", 64),
      rows("attn_v", 32),
      bias("attn_q", 64),
      bias("attn_k", 32),
      bias("attn_v", 32),
    ]);
    const order = (heads: number) =>
      Array.from(
        { length: heads * 32 },
        (_, r) => Math.floor(r / 32) * 32 + (r % 16) * 2 + (Math.floor(r / 16) % 2),
      );
    opened(bytes, ({ source }) => {
      const q = affine(source, `${layer}.self_attn.q_proj`);
      const at = (name: string) => [...source.tensor(`${layer}.self_attn.${name}`).toFloat32()];
      expect([
        [...q.scales].filter((_, i) => i % 2 === 0).map((scale) => scale - 1),
        q.values.filter((_, i) => i % 64 === 0).map((value, r) => value / (q.scales[2 * r] ?? 1) + 8),
        at("q_proj.bias"),
        at("k_proj.bias"),
        at("k_proj.weight")
          .filter((_, i) => i % 64 === 0)
          .map((value) => value / 64),
        at("v_proj.bias"),
        [...affine(source, `${layer}.self_attn.v_proj`).scales]
          .filter((_, i) => i % 2 === 0)
          .map((scale) => scale - 1),
      ]).toEqual([
        order(2),
        order(2).map((row) => row & 15),
        order(2),
        order(1),
        order(1),
        Array.from({ length: 32 }, (_, i) => i),
        Array.from({ length: 32 }, (_, i) => i),
      ]);
    });
  });

  test("tensors are cut along rows, columns and experts like what they decode to", () => {
    const bytes = tinyLlama({ "llama.expert_count": u32(3), "llama.expert_used_count": u32(1) }, [
      ...outside,
      ...attention,
      ...experts,
    ]);
    opened(bytes, ({ source }) => {
      const pieces = (path: string, axis: number, count: number) => {
        const { values } = affine(source, path);
        const [outer = 0, rows = 0, columns = 0] = shape3(source, path);
        const size = [outer, rows, columns];
        for (let index = 0; index < count; index++) {
          const part = affine(source, path, { axis, index, count }).values;
          const position = axis + (3 - source.shapeOf(`${path}.weight`).length);
          const length = (size[position] ?? 0) / count;
          const wanted = values.filter((_, i) => {
            const place =
              [Math.floor(i / rows / columns), Math.floor(i / columns) % rows, i % columns][position] ?? 0;
            return Math.floor(place / length) === index;
          });
          expect(part).toEqual(wanted);
        }
      };
      pieces(`${layer}.self_attn.q_proj`, 0, 2);
      pieces(`${layer}.self_attn.v_proj`, 0, 4);
      pieces(`${layer}.self_attn.o_proj`, 1, 2);
      pieces(`${layer}.block_sparse_moe.switch_mlp.gate_proj`, 1, 3);
      pieces(`${layer}.block_sparse_moe.switch_mlp.down_proj`, 2, 3);
      pieces(`${layer}.block_sparse_moe.switch_mlp.down_proj`, 0, 3);
      expect(
        source.tensor("model.embed_tokens.weight", { axis: 1, index: 1, count: 2 }).toFloat32()[32],
      ).toBe(96);
      const torn = refusal(() =>
        source.tensor(`${layer}.self_attn.q_proj.weight`, { axis: 0, index: 0, count: 4 }),
      );
      const alsoTorn = refusal(() =>
        source.tensor(`${layer}.self_attn.o_proj.weight`, { axis: 1, index: 0, count: 4 }),
      );
      expect([torn, alsoTorn].map((said) => said.replace(/'.*'/, "T"))).toEqual([
        "invalid: tensor T of shape [64, 64] cannot be cut there: its Q4_0 blocks or its heads would be torn",
        "invalid: tensor T of shape [64, 64] cannot be cut there: its Q4_0 blocks or its heads would be torn",
      ]);
    });
  });

  test("scales that float16 cannot hold are a problem, and what was never asked for is freed", () => {
    const huge = {
      name: "blk.0.ffn_up.weight",
      type: 8,
      shape: [1, 32],
      data: new Uint8Array(34).fill(0x7b, 1, 2),
    };
    const before = mlx.native.exo_live_arrays();
    const said = opened(tinyLlama({}, [...outside, ...attention, huge]), ({ source }) => {
      source.tensor(`${layer}.self_attn.v_proj.weight`);
      source.tensor(`${layer}.self_attn.v_proj.weight`);
      return refusal(() => source.tensor(`${layer}.mlp.up_proj.weight`));
    });
    expect([said, mlx.native.exo_live_arrays()]).toEqual([
      expect.stringContaining("a scale of this Q8_0 tensor is not a number that float16 can hold"),
      before,
    ]);
  });

  test("facts name each type, what it became and what that cost", () => {
    const types = { "blk.0.ffn_up.weight": 12, "blk.0.ffn_gate.weight": 14 };
    const tensors = Object.entries(types).map(([name, type]) => ({
      name,
      type,
      shape: [64, 256],
      data: new Uint8Array(64 * (ggmlType(type)?.bytes ?? 0)),
    }));
    const facts = opened(
      tinyLlama({ "llama.rope.freq_base": f32(1e4) }, [
        ...outside,
        ...attention.filter(({ type }) => type !== F32),
        ...tensors,
      ]),
      (checkpoint) => checkpoint.facts,
    );
    expect(facts).toEqual({
      quantisation:
        "Q6_K as 8-bit affine (weights moved by at most 1/510 of the range of 32), Q4_K as 4-bit affine (scales rounded to float16), Q4_0 as 4-bit affine (exact), float32",
      weightBytes: 18_432 + 10_240 + 6_400 + 1280,
      tensors: 7,
    });
  });
});

function shape3(source: TensorSource, path: string): readonly number[] {
  const scales = source.shapeOf(`${path}.scales`);
  const columns = (scales.at(-1) ?? 0) * 32;
  return [scales.length === 3 ? (scales[0] ?? 0) : 1, scales.at(-2) ?? 0, columns];
}
