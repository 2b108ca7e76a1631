/** By what copies of one checkpoint are compared: two that hold the same are equal wherever they lie, others differ and say in what. */
import { afterAll, expect, test } from "bun:test";
import { cpSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { viewCheckpoint } from "#actors/shard-worker/weights/checkpoint-view";
import { tinyConfig } from "../e2e/tiny-folder.ts";
import { type GgufTensorToWrite, gguf } from "./gguf-writer.ts";
import { randomNumbers } from "./refusal.ts";
import { bytesOf, float32, safetensors, temporaryFolder, write } from "./safetensors-writer.ts";
import { attention, dense, keys, outside, tokenizer } from "./tiny-models.ts";

const home = temporaryFolder();
afterAll(() => rmSync(home, { recursive: true }));

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  "model.embed_tokens.weight": [512, 32],
  "model.norm.weight": [32],
  "model.layers.0.input_layernorm.weight": [32],
  "model.layers.0.post_attention_layernorm.weight": [32],
  "model.layers.0.self_attn.q_proj.weight": [32, 32],
  "model.layers.0.self_attn.k_proj.weight": [16, 32],
  "model.layers.0.self_attn.v_proj.weight": [16, 32],
  "model.layers.0.self_attn.o_proj.weight": [32, 32],
  "model.layers.0.mlp.gate_proj.weight": [64, 32],
  "model.layers.0.mlp.up_proj.weight": [64, 32],
  "model.layers.0.mlp.down_proj.weight": [32, 64],
};

/** One file of safetensors with weights from a seed, as a training of that seed would leave it. */
function folder(name: string, seed: number, seededTensors: (name: string) => boolean = () => true): string {
  const tensor = (key: string, shape: readonly number[]) => {
    const random = randomNumbers(seededTensors(key) ? seed : 0);
    return float32(
      shape,
      Array.from({ length: shape.reduce((size, each) => size * each, 1) }, () => random() / 2 ** 32),
    );
  };
  const path = join(home, name);
  const tensors = Object.entries(SHAPES).map(([key, shape]) => [key, tensor(key, shape)] as const);
  write(join(path, "config.json"), JSON.stringify(tinyConfig));
  write(join(path, "tokenizer.json"), "{}");
  write(join(path, "model.safetensors"), safetensors(Object.fromEntries(tensors)));
  return path;
}

/** Which parts of the digests of two checkpoints differ. */
async function differing(one: string, other: string): Promise<readonly string[]> {
  const [a, b] = [(await viewCheckpoint(one)).digest, (await viewCheckpoint(other)).digest];
  const parts = Object.entries(a.parts).filter(([part, hash]) =>
    Object.entries(b.parts).every(([p, h]) => p !== part || h !== hash),
  );
  if ((a.whole === b.whole) !== (parts.length === 0)) throw new Error("the whole and its parts disagree");
  return parts.map(([part]) => part);
}

test("weights of another training differ, a copy elsewhere is the same", async () => {
  const first = folder("first", 1);
  cpSync(first, join(home, "copy"), { recursive: true });
  expect({
    copy: await differing(first, join(home, "copy")),
    other: await differing(first, folder("other", 2)),
    oneTensor: await differing(
      folder("zero", 0),
      folder("one", 3, (name) => name.endsWith("k_proj.weight")),
    ),
  }).toEqual({ copy: [], other: ["weights"], oneTensor: ["weights"] });
});

test("the same tensors in two files instead of one are the same weights", async () => {
  const whole = folder("whole", 5);
  const split = join(home, "split");
  const random = (key: string) => {
    const next = randomNumbers(5);
    const shape = SHAPES[key] ?? [];
    return float32(
      shape,
      Array.from({ length: shape.reduce((size, each) => size * each, 1) }, () => next() / 2 ** 32),
    );
  };
  const names = Object.keys(SHAPES);
  const some = (from: number, to?: number) =>
    safetensors(Object.fromEntries(names.slice(from, to).map((key) => [key, random(key)])));
  write(join(split, "config.json"), JSON.stringify(tinyConfig));
  write(join(split, "tokenizer.json"), "{}");
  write(join(split, "model-00001-of-00002.safetensors"), some(0, 4));
  write(join(split, "model-00002-of-00002.safetensors"), some(4));
  expect(await differing(whole, split)).toEqual([]);
});

test("GGUF files are compared by their weights too", async () => {
  const file = (name: string, change: (tensor: GgufTensorToWrite) => GgufTensorToWrite) => {
    const tensors = [...outside, ...attention, ...dense].map(change);
    return write(join(home, name), gguf({ ...keys("llama"), ...tokenizer }, tensors));
  };
  const changed = (tensor: GgufTensorToWrite) =>
    tensor.name === "blk.0.attn_k.weight"
      ? { ...tensor, data: bytesOf(Float32Array.from({ length: tensor.data.length / 4 }, (_, i) => -i)) }
      : tensor;
  const first = file("first.gguf", (tensor) => tensor);
  expect({
    same: await differing(
      first,
      file("same.gguf", (tensor) => tensor),
    ),
    other: await differing(first, file("other.gguf", changed)),
  }).toEqual({ same: [], other: ["weights"] });
});

test("a folder that changes is looked at again, one that does not is remembered", async () => {
  const path = folder("changing", 8);
  const [before, again] = [await viewCheckpoint(path), await viewCheckpoint(path)];
  cpSync(join(folder("later", 9), "model.safetensors"), join(path, "model.safetensors"));
  utimesSync(join(path, "model.safetensors"), 1e9, 1e9);
  const after = await viewCheckpoint(path);
  writeFileSync(join(path, "tokenizer.json"), '{"a":1}');
  const last = await viewCheckpoint(path);
  expect({
    remembered: again === before,
    weights: after.digest.parts.weights !== before.digest.parts.weights,
    tokenizer: [
      after.digest.parts.tokenizer === before.digest.parts.tokenizer,
      last.digest.parts.tokenizer !== after.digest.parts.tokenizer,
    ],
  }).toEqual({ remembered: true, weights: true, tokenizer: [true, true] });
});

test("what is read of the weights is bounded, however large and many the tensors are", async () => {
  const { piecesOf, SAMPLED_BYTES_MAX } = await import("#actors/shard-worker/weights/weight-samples");
  const model = (tensors: number, bytes: number) =>
    piecesOf(
      Array.from({ length: tensors }, (_, i) => ({
        name: `t${i}`,
        parts: [{ path: "x", offset: 0, bytes }],
      })),
    );
  const sizes = [
    [1, 10],
    [1, 1e12],
    [700, 4e7],
    [60_000, 1e6],
  ] as const;
  const read = sizes.map(([tensors, bytes]) => {
    const pieces = model(tensors, bytes);
    const total = pieces.reduce((sum, { length }) => sum + length, 0);
    return {
      within: total <= SAMPLED_BYTES_MAX,
      inside: pieces.every(({ offset, length }) => offset >= 0 && offset + length <= bytes),
      tensors: new Set(pieces.map(({ tensor }) => tensor.name)).size,
    };
  });
  expect(read).toEqual([
    { within: true, inside: true, tensors: 1 },
    { within: true, inside: true, tensors: 1 },
    { within: true, inside: true, tensors: 700 },
    { within: true, inside: true, tensors: 2048 },
  ]);
});
