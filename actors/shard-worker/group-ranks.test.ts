/** What one request's failing costs a group whose layers are shared by ranks. */
import { expect, test } from "bun:test";
import type { Tell } from "#actors/runtime/telling";
import type { Address, RequestId } from "#protocol/ids";
import { Problem, type ProblemBody, problemBody } from "#protocol/problem";
import { ShardWorker } from "#protocol/shard-worker";
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

/** The last of two ranks, of which the other agrees to everything; `fails` are numbers of tokens that its model cannot compute. */
function lastRank(fails: number) {
  const model = tinyModel(mlx, { layers: 2 });
  const forward: Model["forward"] = (input, caches, wanted) => {
    if (input.shape[1] === fails) throw new Error("no memory");
    return model.forward(input, caches, wanted);
  };
  const ranks = new RankCollective(mlx, "float32", { rank: 1, world: 2 });
  const agreeing = { agree: () => [], rest: () => {} };
  const layers = { mlx, model: { ...model, forward }, ranks: agreeing };
  const loaded: Loaded = {
    layers,
    ranks,
    engine: (computer) => new Engine({ ...layers, text: letters, clock, ...(computer && { computer }) }),
    window: undefined,
    waitFor: () => false,
    rest: () => {},
    facts: {} as Loaded["facts"],
  };
  const parted: ProblemBody[] = [];
  const told: string[] = [];
  const tell: Tell = (to, { type }) => {
    told.push(`${type} to ${to}`);
    return "taken";
  };
  const group = { instance: "model", epoch: 1, stages, stage: 1, split: "ranks" as const };
  const joined = new Joined(group, loaded, {
    clock,
    tell,
    parted: (problem) => parted.push(problemBody(problem)),
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
        delta: () => {},
        failed: (error) => heard.push(problemBody(error).kind),
      },
    );
    return heard;
  };
  return { joined, ask, parted, told };
}

test("a request that no rank can compute fails by itself, and others are told that they may go on elsewhere", () => {
  const { joined, ask, parted, told } = lastRank(13);
  const heard = [ask("good", 5), ask("bad", 14)];
  for (let turn = 0; turn < 40 && !joined.over; turn++) joined.turn();
  const why = /^pass \d of model was refused: a rank failed: Error: no memory$/;
  expect([heard, parted, told.at(-1)]).toEqual([
    [["unavailable"], ["internal"]],
    [{ kind: "unavailable", message: expect.stringMatching(why) }],
    `ShardWorker.PassFailed to ${OTHER}`,
  ]);
});

test("the same where another rank failed of it", () => {
  const { joined, ask, parted } = lastRank(-1);
  const heard = ask("bad", 14);
  // Its chunk is under way, and not computed yet.
  joined.engine?.step();
  const problem = problemBody(new Problem("internal", "no memory"));
  joined.failed(ShardWorker.PassFailed({ instance: "model", epoch: 1, number: 0, problem }), OTHER);
  expect([heard, parted]).toEqual([["internal"], [{ kind: "unavailable", message: "no memory" }]]);
});
