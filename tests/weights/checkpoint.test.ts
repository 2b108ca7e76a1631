/** Tensors out of a folder, through the native reader: every byte, every slice, stacks of experts. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Checkpoint, openCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import type { MxArray } from "#ffi/array";
import { builtMlx } from "#ffi/built-library";
import { refusal } from "./refusal.ts";
import {
  bytesOf,
  counted,
  safetensors,
  type TensorToWrite,
  temporaryFolder,
  withHeader,
  write,
} from "./safetensors-writer.ts";

const mlx = builtMlx();
const config = {
  model_type: "mixtral",
  hidden_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 16,
  vocab_size: 10,
  num_local_experts: 2,
};

function opened(tensors: Readonly<Record<string, TensorToWrite>>): {
  folder: string;
  checkpoint: Checkpoint;
} {
  const folder = temporaryFolder();
  write(join(folder, "config.json"), JSON.stringify(config));
  write(join(folder, "model.safetensors"), safetensors(tensors));
  return { folder, checkpoint: openCheckpoint(folder, mlx) };
}
const read = (work: () => MxArray) =>
  mlx.scope(() => {
    const array = work();
    return { shape: array.shape, values: [...array.toFloat32()] };
  });
/** Elements of a counted tensor [.., n, inner] from `start` to `end` of an axis of length n. */
const part = (outer: number, n: number, inner: number, start: number, end: number) =>
  Array.from({ length: outer }, (_, o) =>
    Array.from({ length: (end - start) * inner }, (_, i) => (o * n + start) * inner + i),
  ).flat();

describe("a folder's tensors", () => {
  /** Large enough to be mapped, at the start of the data and, by an odd tensor before it, off its alignment. */
  const large = 300;
  const expert = (index: number, w: string, part = "weight") =>
    `model.layers.1.block_sparse_moe.experts.${index}.${w}.${part}`;
  const plus = ({ data, ...rest }: TensorToWrite, add: number): TensorToWrite => ({
    ...rest,
    data: bytesOf(new Float32Array(data.buffer).map((value) => value + add)),
  });
  let folder = "";
  let checkpoint: Checkpoint;
  beforeAll(() => {
    ({ folder, checkpoint } = opened({
      "large.weight": counted(large, 256),
      "small.weight": counted(4, 6),
      "cube.weight": counted(2, 4, 6),
      odd: { dtype: "U8", shape: [1], data: Uint8Array.of(7) },
      "crooked.weight": counted(large, 256),
      empty: counted(0, 3),
      scalar: counted(),
      long: { dtype: "I64", shape: [2], data: bytesOf(BigInt64Array.of(-1n, 2n ** 40n)) },
      eight: { dtype: "F8_E5M2", shape: [1], data: new Uint8Array(1) },
      [expert(1, "w1")]: plus(counted(4, 6), 24),
      [expert(0, "w1")]: counted(4, 6),
      [expert(0, "w1", "scales")]: counted(4, 1),
      [expert(1, "w1", "scales")]: plus(counted(4, 1), 4),
    }));
  });
  afterAll(() => {
    checkpoint.close();
    rmSync(folder, { recursive: true });
  });
  const tensor = (...[name, slice]: Parameters<Checkpoint["source"]["tensor"]>) =>
    read(() => checkpoint.source.tensor(name, slice));

  test("are whole, mapped or copied", () => {
    const whole = part(1, large, 256, 0, large);
    expect(tensor("large.weight")).toEqual({ shape: [large, 256], values: whole });
    expect(tensor("crooked.weight")).toEqual({ shape: [large, 256], values: whole });
    expect([
      tensor("small.weight"),
      tensor("odd"),
      tensor("empty"),
      tensor("scalar"),
      tensor("long"),
    ]).toEqual([
      { shape: [4, 6], values: part(1, 4, 6, 0, 4) },
      { shape: [1], values: [7] },
      { shape: [0, 3], values: [] },
      { shape: [], values: [0] },
      { shape: [2], values: [-1, 2 ** 40] },
    ]);
  });

  test("are cut along any axis", () => {
    expect(tensor("large.weight", { axis: 0, index: 1, count: 2 }).values).toEqual(
      part(1, large, 256, 150, 300),
    );
    expect(tensor("large.weight", { axis: 1, index: 3, count: 4 }).values).toEqual(
      part(large, 256, 1, 192, 256),
    );
    expect([
      tensor("cube.weight", { axis: 0, index: 1, count: 2 }),
      tensor("cube.weight", { axis: 1, index: 1, count: 2 }),
      tensor("cube.weight", { axis: -1, index: 2, count: 3 }),
    ]).toEqual([
      { shape: [1, 4, 6], values: part(1, 2, 24, 1, 2) },
      { shape: [2, 2, 6], values: part(2, 4, 6, 2, 4) },
      { shape: [2, 4, 2], values: part(8, 6, 1, 4, 6) },
    ]);
  });

  test("stack single experts, whole and cut", () => {
    const stack = "model.layers.1.block_sparse_moe.switch_mlp.gate_proj";
    expect([
      checkpoint.source.shapeOf(`${stack}.weight`),
      tensor(`${stack}.weight`),
      tensor(`${stack}.scales`),
      tensor(`${stack}.weight`, { axis: 0, index: 1, count: 2 }),
      tensor(`${stack}.weight`, { axis: 1, index: 1, count: 2 }),
      tensor(`${stack}.weight`, { axis: 2, index: 0, count: 3 }),
    ]).toEqual([
      [2, 4, 6],
      { shape: [2, 4, 6], values: part(1, 2, 24, 0, 2) },
      { shape: [2, 4, 1], values: part(1, 2, 4, 0, 2) },
      { shape: [1, 4, 6], values: part(1, 2, 24, 1, 2) },
      { shape: [2, 2, 6], values: part(2, 4, 6, 2, 4) },
      { shape: [2, 4, 2], values: part(8, 6, 1, 0, 2) },
    ]);
  });

  test("are refused by name where they are missing, torn or of no use", () => {
    const refused = (...[name, slice]: Parameters<Checkpoint["source"]["tensor"]>) =>
      refusal(() => checkpoint.source.tensor(name, slice), folder).replaceAll(folder, "FOLDER");
    expect([
      refused("absent.weight"),
      refused("small.weight", { axis: 1, index: 0, count: 4 }),
      refused("eight"),
    ]).toEqual([
      "notFound: FOLDER lacks tensor 'absent.weight'",
      "invalid: tensor 'small.weight' of shape [4, 6] does not divide into 4 parts along axis 1",
      "invalid: tensor 'eight' in model.safetensors is F8_E5M2, which cannot be computed with",
    ]);
  });

  test("live on when the files are closed, and do not change when a result is written over one", () => {
    const other = openCheckpoint(folder, mlx);
    const [kept, spent] = [other.source.tensor("large.weight"), other.source.tensor("large.weight")];
    other.close();
    // The last handle is gone before this runs, so MLX may take the map for its result.
    const bits = spent.astype("int32");
    spent.dispose();
    expect([bits.toInt32()[70_000], kept.toFloat32()[70_000]]).toEqual([70_000, 70_000]);
    bits.dispose();
    kept.dispose();
  });

  test("of a file that shrank after its header was read are a problem, not a crash", () => {
    const { folder: place, checkpoint: shrunk } = opened({ "a.weight": counted(300, 256) });
    write(join(place, "model.safetensors"), withHeader("{}"));
    expect(refusal(() => shrunk.source.tensor("a.weight"), place)).toMatch(
      /^invalid: tensor 'a.weight' cannot be read: .*model.safetensors: bytes \d+ to \d+ are asked for, but the file ends at 10$/,
    );
    rmSync(join(place, "model.safetensors"));
    expect(refusal(() => openCheckpoint(place, mlx), place)).toContain("holds no model*.safetensors");
    shrunk.close();
    rmSync(place, { recursive: true });
  });
});

test("loaded bytes add up to the facts, and every handle is freed", () => {
  const { folder, checkpoint } = opened({ "a.weight": counted(300, 256), "b.weight": counted(3) });
  const before = mlx.liveHandles();
  mlx.scope(() => {
    checkpoint.source.tensor("a.weight");
    checkpoint.source.tensor("b.weight");
  });
  expect([checkpoint.loadedBytes(), checkpoint.facts.weightBytes, mlx.liveHandles()]).toEqual([
    307_212,
    307_212,
    before,
  ]);
  checkpoint.close();
  rmSync(folder, { recursive: true });
});
