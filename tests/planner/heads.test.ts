/** Ranks that do not divide a model's key-value heads hold some of them twice: what is planned for them is what they take. */
import { afterAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { DEFAULT_WISH, type Home } from "#actors/planner/home";
import { kvBytes, layerBytes } from "#actors/planner/memory-estimate";
import { plan } from "#actors/planner/plan";
import { buildModel } from "#actors/shard-worker/models/registry";
import { openCheckpoint, readModelShape } from "#actors/shard-worker/weights/checkpoint";
import { shapeIn } from "#actors/supervisor/placement/ranks";
import { builtMlx } from "#ffi/built-library";
import { weightsOf } from "#ffi/cursor";
import type { Collective } from "#ffi/weights";
import { type Division, keptByRank } from "#protocol/model-shape";
import recorded from "../parity/recorded/tiny/llama-tied.json";
import { writeCheckpoint } from "../parity/seeded.ts";
import { nodeFacts } from "../placement/model.ts";
import { randomFrom, randomHome } from "./homes.ts";

/** Four heads, two key-value heads. */
const folder = writeCheckpoint(recorded.config, recorded.shapes, false);
afterAll(() => rmSync(folder, { recursive: true }));
const mlx = builtMlx();
const whole: Collective = { sum: (part) => part, gather: (part) => part };

test("each rank holds one head for each block of its query heads, and its share where the ranks divide the heads", () => {
  const kept = [
    [4, 2, 1],
    [4, 2, 2],
    [4, 2, 4],
    [32, 8, 16],
    [6, 2, 3],
    [6, 3, 2],
    [9, 3, 9],
    [8, 8, 4],
  ] as const;
  expect(kept.map(([heads, kvHeads, ranks]) => keptByRank(heads, kvHeads, ranks))).toEqual([
    2, 1, 1, 1, 2, 3, 1, 2,
  ]);
});

test.each([1, 2, 4])("one of %d ranks reads as many bytes as are planned for it", (world) => {
  const checkpoint = openCheckpoint(folder, mlx);
  const options = {
    dtype: "float32",
    rank: world - 1,
    world,
    ...(world > 1 && { collective: whole }),
  } as const;
  buildModel(checkpoint.config, weightsOf(checkpoint.source, mlx, options));
  const shape = readModelShape(folder);
  const planned = shape.layers.reduce((sum, layer) => sum + layerBytes(shape, layer, world), shape.headBytes);
  const range = { start: 0, end: shape.layers.length };
  const read = checkpoint.loadedBytes();
  const [first] = shape.layers;
  const kv = (ranks: number) => first && kvBytes(shape, first, DEFAULT_WISH, ranks);
  const told = [checkpoint.weightBytesOf(range, world), planned, kv(world)];
  expect(told).toEqual([read, read, (kv(1) ?? 0) / Math.min(2, world)]);
});

test("four ranks of two key-value heads are planned where all machines know such ranks, and refused where one does not", () => {
  const made = randomHome(randomFrom(3), 4, true);
  const home: Home = { ...made, machines: made.machines.map((machine) => ({ ...machine, freeBytes: 8e9 })) };
  const wish = { ...DEFAULT_WISH, context: 512, minimumNodes: 4 };
  const views = home.machines.map(({ node, name }, at) => ({
    ...{ node, name, state: "up" as const, drained: false, excluded: false },
    facts: { ...nodeFacts(name, 8e9), ...(at === 2 && { placements: ["sharedStages"] }) },
  }));
  const ranked = (nodes: readonly unknown[]) => {
    const shape = shapeIn(readModelShape(folder), { nodes: nodes as never, links: [] });
    const { ranked: found, rejected } = plan(shape, home, wish, "tensor");
    const reasons = rejected.flatMap((each): Division[] =>
      each.type === "indivisible" && each.ranks === 4 ? [each.division] : [],
    );
    return [found.map(({ placement }) => placement[0]?.machines.length), reasons];
  };
  expect([ranked(views.toSpliced(2, 1)), ranked(views)]).toEqual([
    [[4], []],
    [[], [{ what: "key-value heads", size: 2, piece: 1 }]],
  ]);
});
