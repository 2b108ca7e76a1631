import { expect, test } from "bun:test";
import type { Address, NodeId } from "#protocol/ids";
import type { HeldStage, PlacedInstance } from "#protocol/placement";
import type { ProblemBody } from "#protocol/problem";
import { type Sights, type Trouble, troubleIn } from "./trouble.ts";

const [a, b] = ["a" as NodeId, "b" as NodeId];
const BROKE: ProblemBody = { kind: "doesNotFit", message: "no memory" };

const loading: PlacedInstance = {
  id: "i",
  model: "m",
  digest: "d",
  wish: {},
  settings: { kvQuant: "f16" },
  epoch: 5,
  state: "loading",
  stages: [
    { node: a, layers: { start: 0, end: 2 } },
    { node: b, layers: { start: 2, end: 4 } },
  ],
};
const ready: PlacedInstance = {
  ...loading,
  state: "ready",
  stages: loading.stages.map((stage) => ({ ...stage, worker: `${stage.node}/worker-1` as Address })),
};

const part = (node: NodeId, more: Partial<HeldStage> = {}): HeldStage => ({
  instance: "i",
  epoch: 5,
  state: "loaded",
  worker: `${node}/worker-1` as Address,
  ...more,
});
const parted = {
  state: "failed",
  parted: true,
  problem: { kind: "unavailable", message: "no word" },
} as const;

interface Home {
  readonly record?: PlacedInstance;
  readonly held?: Readonly<Record<string, readonly HeldStage[] | undefined>>;
  readonly lost?: Readonly<Record<string, { readonly why: string; readonly wanted: boolean }>>;
  readonly down?: NodeId;
  readonly nowMs?: number;
}

/** Of two machines that hold what they should, but for what the case says. */
function troubleOf({ record = ready, held = {}, lost = {}, down, nowMs = 0 }: Home): Trouble | undefined {
  const all: Home["held"] = { a: [part(a)], b: [part(b)], ...held };
  const sights: Sights = {
    nowMs,
    sinceMs: 0,
    reportOf: (node) => {
      const stages = all[node];
      return stages && { heard: 9, stages: stages.map((each) => ({ ...each, sinceMs: 0 })) };
    },
    lost: (node) => lost[node],
    isUp: (node) => node !== down,
  };
  return troubleIn(record, sights);
}

function said(home: Home): unknown {
  const trouble = troubleOf(home);
  const crashed = trouble?.crashed && `crashed on ${trouble.crashed}`;
  return trouble && [trouble.problem.message, trouble.counts, trouble.failed ?? crashed];
}

const failed = { state: "failed", problem: BROKE } as const;
const waited = { ...failed, waited: true };
const gone = "the part of m on one machine is gone, as after its restart";

test("all is well while machines hold what they should, or load it", () => {
  expect([
    said({}),
    said({ record: loading, held: { b: [part(b, { state: "loading" })] }, nowMs: 300_000 }),
    said({ record: loading, held: { b: undefined }, nowMs: 50_000 }),
  ]).toEqual([undefined, undefined, undefined]);
});

test("a machine that fails with its part is kept from others for a while, one that is drained or only parted is not", () => {
  expect([
    said({ record: loading, held: { a: [part(a, failed)] } }),
    said({ held: { a: [part(a, failed)] } }),
    said({ record: loading, lost: { b: { why: "b is dead", wanted: false } } }),
    said({ record: loading, lost: { b: { why: "b is drained", wanted: true } } }),
    said({ record: loading, held: { b: [part(b, parted)] } }),
    said({ held: { b: [part(b, waited)] } }),
    said({ held: { a: [part(a, waited)], b: [part(b, failed)] } }),
  ]).toEqual([
    ["no memory", true, a],
    ["no memory", true, "crashed on a"],
    ["b is dead", false, b],
    ["b is drained", false, undefined],
    ["no word", true, undefined],
    ["no memory", true, undefined],
    ["no memory", true, "crashed on b"],
  ]);
});

test("what answers goes on computing while one of its machines is drained, and all of them are well", () => {
  const lost = { b: { why: "b is drained", wanted: true } };
  expect([
    troubleOf({ lost })?.computes,
    troubleOf({ lost, record: loading })?.computes,
    troubleOf({ lost, down: a })?.computes,
    troubleOf({ lost: { b: { why: "b is away", wanted: true } }, down: b })?.computes,
    troubleOf({ lost: { b: { why: "b is dead", wanted: false } } })?.computes,
  ]).toEqual([true, undefined, undefined, undefined, undefined]);
});

test("what others say because a machine is gone or out of reach is not held against the model", () => {
  const held = { b: [part(b, parted)] };
  expect([
    said({ held, lost: { a: { why: "a is dead", wanted: false } } }),
    said({ held, down: a }),
    said({ held: { a: [], ...held } }),
    said({ held: { a: [part(a, failed)], ...held } }),
  ]).toEqual([
    ["a is dead", false, undefined],
    ["no word", false, undefined],
    [gone, false, undefined],
    ["no memory", true, "crashed on a"],
  ]);
});

test("a part that is gone, or another than the home knows, is not waited for", () => {
  expect([
    said({ held: { b: [] } }),
    said({ held: { b: [part(b, { worker: "b/worker-2" as Address })] } }),
    said({ held: { b: [part(b, { epoch: 4 })] } }),
  ]).toEqual([
    [gone, false, undefined],
    [gone, false, undefined],
    [gone, false, undefined],
  ]);
});

test("a machine that says nothing of its part for a minute, or nothing new of its load for six, has failed", () => {
  expect([
    said({ record: loading, held: { b: undefined }, nowMs: 61_000 }),
    said({ record: loading, held: { b: [part(b, { state: "loading" })] }, nowMs: 361_000 }),
  ]).toEqual([
    ["nothing was heard of the part of m on one machine for 61 s", true, b],
    ["nothing was heard of the part of m on one machine for 361 s", true, b],
  ]);
});
