/** What one request's failing costs a group whose layers are shared by ranks. */
import { expect, test } from "bun:test";
import type { Tell } from "#actors/runtime/telling";
import { type Address, type RequestId, tryOf } from "#protocol/ids";
import { Problem, type ProblemBody, problemBody } from "#protocol/problem";
import { ShardWorker } from "#protocol/shard-worker";
import type { Cache } from "./cache/cache.ts";
import { Engine } from "./engine/engine.ts";
import { letters } from "./engine/fake-model.ts";
import { tinyModel } from "./engine/tiny-model.ts";
import { Joined } from "./joined.ts";
import type { Loaded } from "./loading.ts";
import type { Model } from "./models/model.ts";
import { RankCollective } from "./ranks/rank-collective.ts";
import { mlx } from "./tiny-group.ts";

const stages = ["a/worker-0", "b/worker-0"] as Address[];
const [OTHER] = stages as [Address];
const clock = { nowMs: () => 0, epochSeconds: () => 0, after: () => () => {}, freshId: () => "id" };

interface Failing {
  /** Numbers of tokens that its model cannot compute at once. */
  readonly count?: number;
  /** Nor the next one after so many. */
  readonly after?: number;
}

/** The last of two ranks, of which the other agrees to everything; `before`: what it was before. */
function lastRank({ count: fails, after }: Failing, before?: Joined) {
  const model = tinyModel(mlx, { layers: 2 });
  const isBad = ([cache]: readonly Cache[]) => after !== undefined && cache?.offset === after;
  const forward: Model["forward"] = (input, caches, wanted) => {
    if (input.shape[1] === fails || (wanted === "last" && isBad(caches))) throw new Error("no memory");
    return model.forward(input, caches, wanted);
  };
  const decode: Model["decode"] = (input, sequences) => {
    decoded.push(sequences.length);
    if (sequences.some(isBad)) throw new Error("no memory");
    return model.decode(input, sequences);
  };
  const decoded: number[] = [];
  const ranks = new RankCollective(mlx, "float32", { rank: 1, world: 2 });
  const agreeing = { agree: () => [], rest: () => {} };
  const layers = { mlx, model: { ...model, forward, decode }, ranks: agreeing };
  const loaded: Loaded = {
    layers,
    ranks,
    engine: (computer, alone) => new Engine({ ...layers, text: letters, clock, computer, alone }),
    window: undefined,
    waitFor: () => false,
    meshOf: () => expect.unreachable(),
    rest: () => {},
    facts: {} as Loaded["facts"],
  };
  const parted: ProblemBody[] = [];
  const told: string[] = [];
  const tell: Tell = (to, { type }) => {
    told.push(`${type} to ${to}`);
    return "taken";
  };
  const group = { instance: "model", epoch: 1, stages, stage: 1, ranks: [2] };
  const joined = new Joined(group, loaded, {
    clock,
    tell,
    parted: (problem) => parted.push(problemBody(problem)),
    alone: before?.alone,
  });
  const ask = (id: string, count: number) => {
    const heard: string[] = [];
    joined.engine?.submit(
      {
        id: id as RequestId,
        model: "tiny",
        prompt: { type: "tokens", tokens: Array.from({ length: count }, (_, i) => 1 + (i % 20)) },
        sampling: { seed: 3 },
        stop: [],
        ignoreEos: true,
        maxTokens: 8,
      },
      {
        delta: ({ type }) => type === "finish" && heard.push(type),
        failed: (error) => heard.push(problemBody(error).kind),
      },
    );
    return heard;
  };
  const run = () => {
    for (let turn = 0; turn < 60 && !joined.over; turn++) joined.turn();
  };
  return { joined, ask, run, parted, told, decoded };
}

test("a request that no rank can compute fails by itself, and others are told that they may go on elsewhere", () => {
  const { ask, run, parted, told } = lastRank({ count: 13 });
  const heard = [ask("good", 5), ask("bad", 14)];
  run();
  const why = /^pass \d of model was refused: a rank failed: Error: no memory$/;
  expect([heard, parted, told.at(-1)]).toEqual([
    [["unavailable"], ["internal"]],
    [{ kind: "unavailable", message: expect.stringMatching(why) }],
    `ShardWorker.PassFailed to ${OTHER}`,
  ]);
});

test("the same where another rank failed of it", () => {
  const { joined, ask, parted } = lastRank({});
  const heard = ask("bad", 14);
  // Its chunk is under way, and not computed yet.
  joined.engine?.step();
  const problem = problemBody(new Problem("internal", "no memory"));
  joined.failed(ShardWorker.PassFailed({ instance: "model", epoch: 1, number: 0, problem }), OTHER);
  expect([heard, parted]).toEqual([["internal"], [{ kind: "unavailable", message: "no memory" }]]);
});

test("whose fault it was that several answers together could not go on is found in the next epoch, and costs no other", () => {
  const bad = { after: 16 };
  let before: Joined | undefined;
  const epochs = [
    ["good", "bad", "late"],
    ["good", "bad", "late", "new"],
    ["good", "late", "new"],
  ].map((ids, times) => {
    const epoch = lastRank(bad, before);
    before = epoch.joined;
    const heard = ids.map((id) => epoch.ask(tryOf(id as RequestId, times + 1), id === "bad" ? 14 : 5));
    epoch.run();
    return [heard.flat().join(" "), Math.max(0, ...epoch.decoded)];
  });
  expect(epochs).toEqual([
    ["unavailable unavailable unavailable", 3],
    // Those that were together decode by themselves now.
    ["unavailable internal unavailable unavailable", 0],
    ["finish finish finish", 3],
  ]);
});
