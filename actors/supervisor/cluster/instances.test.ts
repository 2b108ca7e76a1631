import { describe, expect, test } from "bun:test";
import type { Address, NodeId } from "#protocol/ids";
import { INSTANCES_MAX, type PlacedInstance } from "#protocol/placement";
import { type InstanceCommand, nextInstances } from "./instances.ts";

const a = "a" as NodeId;
const b = "b" as NodeId;
const halves = [
  { node: a, layers: { start: 0, end: 2 } },
  { node: b, layers: { start: 2, end: 4 } },
];
const workers = halves.map((stage) => ({ ...stage, worker: `${stage.node}/worker-1` as Address }));
const facts = {
  architecture: "llama",
  quantisation: "float32",
  layers: 4,
  contextLength: 64,
  vocabularySize: 320,
  weightBytes: 1000,
  loadMs: 1,
};
const place = (more: Partial<Extract<InstanceCommand, { does: "place" }>> = {}): InstanceCommand => ({
  type: "instance",
  does: "place",
  id: "i",
  model: "m",
  digest: "d",
  wish: {},
  settings: { kvQuant: "f16" },
  stages: halves,
  after: 0,
  ...more,
});
const about = (does: "drain" | "gone", epoch: number): InstanceCommand => ({
  type: "instance",
  does,
  id: "i",
  epoch,
});
const fail = (epoch: number): InstanceCommand => ({
  type: "instance",
  does: "fail",
  id: "i",
  epoch,
  problem: { kind: "internal", message: "broke" },
});
const ready = (epoch: number): InstanceCommand => ({
  type: "instance",
  does: "ready",
  id: "i",
  epoch,
  stages: workers,
  facts,
});

/** The table after commands that are entries 10, 11 and so on; what is refused changes nothing. */
function after(...commands: readonly InstanceCommand[]) {
  const refused: string[] = [];
  let table: readonly PlacedInstance[] = [];
  for (const [at, command] of commands.entries()) {
    try {
      table = nextInstances(table, command, 10 + at);
    } catch (error) {
      refused.push((error as Error).message);
    }
  }
  return { table: table.map(({ id, epoch, state, stages }) => ({ id, epoch, state, stages })), refused };
}

describe("the table of instances", () => {
  test("knows a placement by the entry that made it, and its workers once all are loaded", () => {
    expect(after(place(), ready(10))).toEqual({
      table: [{ id: "i", epoch: 10, state: "ready", stages: workers }],
      refused: [],
    });
  });

  test("takes no word of an epoch that is not the newest, and no second placement after the same one", () => {
    expect(after(place(), place({ after: 10 }), ready(10), place({ after: 10 }), about("drain", 10))).toEqual(
      {
        table: [{ id: "i", epoch: 11, state: "loading", stages: halves }],
        refused: [
          "epoch 10 of instance i is not the newest: 11 is",
          "instance i was placed by another before: epoch 11",
          "epoch 10 of instance i is not the newest: 11 is",
        ],
      },
    );
  });

  test("ends an instance, and its name is free again under a higher epoch", () => {
    expect(
      after(place(), ready(10), about("drain", 10), about("gone", 10), place({ id: "j" }), place()),
    ).toEqual({
      table: [{ id: "j", epoch: 14, state: "loading", stages: halves }],
      refused: ["m is placed already"],
    });
  });

  test("refuses gaps between layers, and a machine with two stages", () => {
    const [first, second] = halves as [(typeof halves)[0], (typeof halves)[0]];
    expect(
      after(
        place({ stages: [first, { ...second, layers: { start: 3, end: 4 } }] }),
        place({ stages: [first, { ...second, node: a }] }),
        place({ stages: [second] }),
      ),
    ).toEqual({
      table: [],
      refused: [
        "layers 3 to 4 do not follow layer 2",
        "a machine has two stages of one model",
        "layers 2 to 4 do not follow layer 0",
      ],
    });
  });

  test("several may share a stage as ranks of the same layers, in their order and each once", () => {
    const part = (node: string, start: number, end: number, rank?: number) => ({
      node: node as NodeId,
      layers: { start, end },
      ...(rank !== undefined && { rank }),
    });
    const shared = [
      part("a", 0, 1, 0),
      part("b", 0, 1, 1),
      part("c", 1, 3),
      part("d", 3, 4, 0),
      part("e", 3, 4, 1),
    ];
    const wrong = [
      [part("a", 0, 2, 0), part("b", 2, 4)],
      [part("a", 0, 2), part("b", 0, 2, 1), part("c", 2, 4)],
      [part("a", 0, 2, 0), part("b", 0, 3, 1), part("c", 2, 4)],
      [part("a", 0, 2, 0), part("b", 0, 2, 2), part("c", 2, 4)],
      [part("a", 0, 2, 1), part("b", 0, 2, 0), part("c", 2, 4)],
      [part("a", 0, 2, 0), part("b", 0, 2, 1), part("c", 3, 4)],
    ];
    const outcomes = [shared, ...wrong].map((stages) => after(place({ stages })));
    expect(outcomes.map(({ table, refused }) => [table[0]?.stages, refused[0]])).toEqual([
      [shared, undefined],
      [undefined, "rank 0 with layers 0 to 2 is not part 0 of 1"],
      [undefined, "rank undefined with layers 0 to 2 is not part 0 of 2"],
      [undefined, "rank 1 with layers 0 to 3 is not part 1 of 2"],
      [undefined, "rank 2 with layers 0 to 2 is not part 1 of 2"],
      [undefined, "rank 1 with layers 0 to 2 is not part 0 of 1"],
      [undefined, "layers 3 to 4 do not follow layer 2"],
    ]);
  });

  test("ranks that add up by jaccl have each a device to every other, and meet at one place", () => {
    const way = (devices: (string | null)[], host = "10.0.0.1") => ({
      backend: "jaccl" as const,
      devices,
      host,
    });
    const ranks = (...ways: (ReturnType<typeof way> | undefined)[]) =>
      place({
        stages: [a, b].map((node, rank) => {
          const own = ways[rank];
          return { node, layers: { start: 0, end: 4 }, rank, ...(own && { way: own }) };
        }),
      });
    const [first, second] = [way([null, "rdma_en2"]), way(["rdma_en3", null])];
    const outcomes = [
      after(ranks(first, second)),
      after(ranks(first)),
      after(ranks(first, way([null, "rdma_en3"]))),
      after(ranks(first, way(["rdma_en3", null, "rdma_en4"]))),
      after(ranks(first, way(["rdma_en3", null], "10.0.0.2"))),
      after(ranks(way([null, "rdma_en2"], "atlas"), way(["rdma_en3", null], "atlas"))),
    ];
    expect(
      outcomes.map(({ table, refused }) => [table[0]?.stages.map((stage) => stage.way), refused]),
    ).toEqual([
      [[first, second], []],
      ...Array.from({ length: 4 }, () => [undefined, ["rank 1 does not have a device to every other rank"]]),
      [undefined, ["ranks cannot meet at atlas"]],
    ]);
  });

  test("a model that is ended or has failed is not made ready again, and one that answers is ended before it is forgotten", () => {
    const outcomes = [
      after(place(), about("drain", 10), ready(10), fail(10), about("drain", 10), place({ after: 10 })),
      after(place(), fail(10), ready(10), about("drain", 10), fail(10)),
      after(place(), ready(10), ready(10), about("gone", 10)),
      after(place(), fail(10), about("gone", 10)),
    ];
    expect(outcomes.map(({ table, refused }) => [table.map(({ state }) => state), refused])).toEqual([
      [
        ["draining"],
        [
          "epoch 10 of instance i is draining: ready is not for it",
          "epoch 10 of instance i is draining: fail is not for it",
          "epoch 10 of instance i is draining: drain is not for it",
          "instance i is being ended",
        ],
      ],
      [
        ["failed"],
        [
          "epoch 10 of instance i is failed: ready is not for it",
          "epoch 10 of instance i is failed: drain is not for it",
          "epoch 10 of instance i is failed: fail is not for it",
        ],
      ],
      [
        ["ready"],
        [
          "epoch 10 of instance i is ready: ready is not for it",
          "epoch 10 of instance i is ready: gone is not for it",
        ],
      ],
      [[], []],
    ]);
  });

  test("takes as workers of a stage only what its own machine can have started", () => {
    const named = (worker: string): InstanceCommand =>
      ({
        ...ready(10),
        stages: workers.map((stage, at) => (at === 1 ? { ...stage, worker: worker as Address } : stage)),
      }) as InstanceCommand;
    expect(
      after(place(), named("a/worker-1"), named("b/api-gateway"), named("b/worker-1/x"), named("b/worker-2")),
    ).toEqual({
      table: [
        {
          id: "i",
          epoch: 10,
          state: "ready",
          stages: [workers[0], { ...workers[1], worker: "b/worker-2" as Address }] as typeof workers,
        },
      ],
      refused: Array(3).fill("instance i was placed otherwise"),
    });
  });

  test("remembers of a model that it answered once, until it fails", () => {
    const wasReady = (...commands: readonly InstanceCommand[]) =>
      commands.reduce<readonly PlacedInstance[]>(
        (table, each, at) => nextInstances(table, each, 10 + at),
        [],
      )[0]?.wasReady;
    expect([
      wasReady(place()),
      wasReady(place(), place({ after: 10 })),
      wasReady(place(), ready(10), place({ after: 10 }), place({ after: 12 })),
      wasReady(place(), ready(10), fail(10), place({ after: 10 })),
    ]).toEqual([undefined, undefined, true, undefined]);
  });

  test("has room for a new model while there is one that failed", () => {
    const named = (id: string) => place({ id, model: id });
    let table: readonly PlacedInstance[] = [];
    for (let at = 0; at < INSTANCES_MAX; at++) table = nextInstances(table, named(`m${at}`), 10 + at);
    const full = () => nextInstances(table, named("new"), 1000);
    expect(full).toThrow("64 models are on several machines already");
    for (const at of [7, 5])
      table = nextInstances(table, { ...fail(10 + at), id: `m${at}` } as InstanceCommand, 500);
    expect(full().map(({ id }) => id)).toEqual([
      ...table.map(({ id }) => id).filter((id) => id !== "m5"),
      "new",
    ]);
  });
});
