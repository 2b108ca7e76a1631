/** What a machine measured of itself, and what the planner makes of it. */
import { expect, test } from "bun:test";
import type { Home, Speeds, Wish } from "#actors/planner/home";
import { DEFAULT_WISH } from "#actors/planner/home";
import { learned, speedsFor } from "#actors/planner/measured-speeds";
import type { Placement } from "#actors/planner/placement/placement";
import { predict } from "#actors/planner/placement/predict";
import { limitsOf } from "#actors/shard-worker/engine/limits";
import type { NodeId } from "#protocol/ids";
import type { ModelShape } from "#protocol/model-shape";
import type { NodeFacts } from "#protocol/node";
import type { Pace, StepTime } from "#protocol/speeds";
import { randomFrom, randomModel } from "./homes.ts";

const shape: ModelShape = { ...randomModel(randomFrom(3)), architecture: "llama" };
const model = { shape, quantisation: "4-bit affine, group 32", kvBytes: 2 };
const facts = { chip: "a chip", cores: 2, accelerators: [] } as unknown as NodeFacts;
const DEPTH = 512;
const wish: Wish = { ...DEFAULT_WISH, prompt: DEPTH, streams: 4 };

const home = (speeds: Speeds): Home => ({
  machines: [{ node: "a" as NodeId, name: "a", freeBytes: 1e13, activationBytes: 4, speeds }],
  ways: [[undefined]],
});
const whole = [{ machines: [0], start: 0, end: shape.layers.length }];

/** A machine of which everything is known, and what its worker would say of some of its layers. */
const TRUE: Speeds = {
  ...{ bytesPerSecond: 21e9, flopsPerSecond: 0.4e12, layerMs: 0.03, stepMs: 0.2, assumed: false },
  together: [1.4, 1.9, 3.2],
};
function paced(start: number): Pace {
  const layers = { start, end: shape.layers.length };
  const part = { ...shape, layers: shape.layers.slice(start) };
  const at = [{ machines: [0], start: 0, end: part.layers.length }];
  const ms = (streams: number): number =>
    (1000 * streams) / predict(part, home(TRUE), { ...wish, streams }, at).totalTokensPerSecond -
    streams * TRUE.stepMs;
  const decode = (rows: number): StepTime => ({
    kind: "decode",
    rows,
    depth: DEPTH,
    until: "head",
    ms: ms(rows),
  });
  const work = part.layers.reduce((sum, { flops }) => sum + flops, 0) * 256;
  const prompt: StepTime = {
    ...{ kind: "prompt", rows: 256, depth: 0, until: "head" },
    ms: (1000 * work) / TRUE.flopsPerSecond + part.layers.length * TRUE.layerMs,
  };
  return { layers, steps: [prompt, decode(1), decode(2), decode(4), decode(8)] };
}

test("a few layers timed for a moment say how fast the whole model decodes, alone and together, and reads a prompt", () => {
  const speeds = learned(model, paced(shape.layers.length - 3));
  const by = (given: Speeds) => {
    const { decodeTokensPerSecond, totalTokensPerSecond, prefillTokensPerSecond } = predict(
      shape,
      home(given),
      wish,
      whole,
    );
    return [decodeTokensPerSecond, totalTokensPerSecond, prefillTokensPerSecond];
  };
  const guessed = by(speedsFor({ ...facts, ...(speeds && { speeds: [speeds] }) }, model));
  const errors = by(TRUE).map((real, at) => Math.abs((guessed[at] ?? 0) / real - 1));
  expect(errors.map((each) => each < 0.05)).toEqual([true, true, true]);
});

test("a prompt is predicted in the chunks in which workers compute it, shorter ones where machines follow each other", () => {
  const chunk = (stages: number) => limitsOf(undefined, { stages, rowsMax: 4096 }).prefillChunk;
  const way = { latencyMs: 0, bytesPerSecond: 1e12, measured: true };
  const [machine] = home(TRUE).machines;
  if (!machine) throw new Error("one machine");
  const two: Home = {
    machines: [machine, machine],
    ways: [
      [undefined, way],
      [way, undefined],
    ],
  };
  const half = shape.layers.length >> 1;
  const cut = [
    { machines: [0], start: 0, end: half },
    { machines: [1], start: half, end: shape.layers.length },
  ];
  const gained = (placement: Placement) => {
    const [staged, whole] = [wish, { ...wish, chunkStaged: wish.chunk }].map(
      (by) => predict(shape, two, { ...by, prompt: 2048 }, placement).prefillTokensPerSecond,
    );
    return (staged ?? 0) > 1.1 * (whole ?? 0);
  };
  expect([[chunk(1), chunk(2)], gained(whole), gained(cut)]).toEqual([
    [DEFAULT_WISH.chunk, DEFAULT_WISH.chunkStaged],
    false,
    true,
  ]);
});

test("one disturbed run moves what is known half of the way, and many runs all of it", () => {
  const before = learned(model, paced(0));
  const slow: Pace = { ...paced(0), steps: paced(0).steps.map((step) => ({ ...step, ms: step.ms * 2 })) };
  let speeds = before && learned(model, slow, before);
  const once = speeds && before && speeds.bytesPerSecond / before.bytesPerSecond;
  for (let run = 0; run < 10; run++) speeds = learned(model, slow, speeds);
  const often = speeds && before && speeds.bytesPerSecond / before.bytesPerSecond;
  expect([once?.toFixed(2), (often ?? 0) < 0.52]).toEqual(["0.75", true]);
});

test("steps of no single answer say nothing, and speeds of other models are a guess", () => {
  const prompts = paced(0).steps.filter(({ kind }) => kind === "prompt");
  const nothing = learned(model, { ...paced(0), steps: prompts });
  const known = learned(model, paced(0));
  const having = { ...facts, ...(known && { speeds: [known] }) };
  const of = (more: object) => speedsFor(having, { ...model, ...more });
  const large = { ...shape, layers: shape.layers.map((layer) => ({ ...layer, bytes: 4 * layer.bytes })) };
  const asMeasured = ({ bytesPerSecond, assumed }: Speeds) => [
    bytesPerSecond === known?.bytesPerSecond,
    assumed,
  ];
  expect({
    nothing,
    same: asMeasured(of({})),
    larger: asMeasured(of({ shape: large })),
    otherBits: asMeasured(of({ quantisation: "bfloat16" })),
    never: speedsFor(facts, model).assumed,
  }).toEqual({
    nothing: undefined,
    same: [true, false],
    larger: [true, true],
    otherBits: [true, true],
    never: true,
  });
});

test("what an answer takes besides the model is counted for each of several, as it was when they ran together", () => {
  const layers = { start: 0, end: shape.layers.length };
  const step = (rows: number, ms: number): StepTime => ({
    ...{ kind: "decode", rows, depth: 1, until: "token", ms },
  });
  // 20 ms of the model and 0.2 ms for its answer, 70 ms and 0.8 ms for four.
  const prompt: StepTime = { kind: "prompt", rows: 256, depth: 0, until: "token", ms: 1 };
  const speeds = learned(model, { layers, steps: [prompt, step(1, 20.2), step(2, 40.4), step(4, 70.8)] });
  if (!speeds) throw new Error("nothing was learned");
  const { totalTokensPerSecond } = predict(
    shape,
    home(speedsFor({ ...facts, speeds: [speeds] }, model)),
    { ...wish, prompt: 1 },
    whole,
  );
  expect((4000 / totalTokensPerSecond).toFixed(1)).toBe("70.8");
});
