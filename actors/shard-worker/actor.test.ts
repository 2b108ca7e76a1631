/** The life of a ShardWorker with a fake engine. */
import { expect, test } from "bun:test";
import { createActor } from "xstate";
import type { Address, RequestId } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { Problem } from "#protocol/problem";
import type { Group, ShardFacts } from "#protocol/shard";
import { ShardWorker } from "#protocol/shard-worker";
import { shardWorker } from "./index.ts";

const asker = "node/asker" as Address;
const facts = { layers: 2 } as ShardFacts;
const load = (model: string) => ShardWorker.Load({ shard: { model, path: `/${model}` }, replyTo: asker });

function world() {
  const told: AnyMessage[] = [];
  let loaded = (_: ShardFacts): void => {};
  const released: string[] = [];
  const joined = { refuses: false, parted: (_: Problem): void => {}, epochs: [] as number[] };
  const engine = {
    load: () => new Promise<ShardFacts>((resolve) => (loaded = resolve)),
    submit: () => {},
    cancel: () => {},
    measure: () => Promise.reject(new Problem("unavailable", "a fake")),
    join(_: Group, parted: (problem: Problem) => void) {
      if (joined.refuses) throw new Problem("invalid", "other layers");
      joined.parted = parted;
    },
    release: () => void released.push("released"),
  };
  const tell = (_: Address, message: AnyMessage) => void told.push(message);
  const ports = { engine, tell, joined: ({ epoch }: Group) => void joined.epochs.push(epoch) };
  const actor = createActor(shardWorker(ports)).start();
  const finish = async () => {
    loaded(facts);
    await Promise.resolve();
  };
  return { actor, told, finish, released, joined };
}

test("a worker that holds a model, or loads one, refuses another and keeps its own", async () => {
  const { actor, told, finish, released } = world();
  actor.send(load("first"));
  actor.send(load("second"));
  await finish();
  actor.send(load("third"));
  const failed = (model: string) => ({
    type: "ShardWorkerReply.LoadFailed",
    shard: { model, path: `/${model}` },
    problem: {
      kind: "invalid",
      message: "this worker holds or loads first already",
      remedy: `unload it first, or start another worker for ${model}`,
    },
  });
  const loaded = { type: "ShardWorkerReply.Loaded", shard: { model: "first", path: "/first" }, facts };
  expect([told, actor.getSnapshot().value, released]).toEqual([
    [failed("second"), loaded, failed("third")],
    "ready",
    [],
  ]);
});

test("before a model is held, requests are refused; after Unload another may be loaded", async () => {
  const { actor, told, finish, released } = world();
  const generation = {
    id: "r" as RequestId,
    model: "first",
    prompt: { type: "text", text: "a" } as const,
    sampling: {},
    stop: [],
  };
  actor.send(ShardWorker.Generate({ generation, replyTo: asker }));
  actor.send(load("first"));
  await finish();
  actor.send(ShardWorker.Unload({}));
  actor.send(load("second"));
  await finish();
  expect([told.map(({ type }) => type), actor.getSnapshot().value, released]).toEqual([
    ["GenerationReply.Failed", "ShardWorkerReply.Loaded", "ShardWorkerReply.Loaded"],
    "ready",
    ["released"],
  ]);
});

const joinOf = (epoch: number) =>
  ShardWorker.Join({ group: { instance: "i", epoch, stages: [asker, asker], stage: 1 }, replyTo: asker });

test("a worker joins a group when it holds its layers, says why it does not, and when the group is over", async () => {
  const { actor, told, finish, joined } = world();
  actor.send(joinOf(1));
  actor.send(load("first"));
  await finish();
  actor.send(joinOf(2));
  joined.refuses = true;
  actor.send(joinOf(3));
  joined.parted(new Problem("unavailable", "a pass was lost"));
  const said = told.filter(({ type }) => /Join|Part/.test(type));
  // Whose stages are watched: of a group that was refused nobody's, for that would be in place of the one it is in.
  expect(joined.epochs).toEqual([2]);
  expect<readonly object[]>(said).toEqual([
    {
      type: "ShardWorkerReply.JoinFailed",
      instance: "i",
      epoch: 1,
      problem: { kind: "unavailable", message: "this worker holds no model yet" },
    },
    { type: "ShardWorkerReply.Joined", instance: "i", epoch: 2 },
    {
      type: "ShardWorkerReply.JoinFailed",
      instance: "i",
      epoch: 3,
      problem: { kind: "invalid", message: "other layers" },
    },
    {
      type: "ShardWorkerReply.Parted",
      instance: "i",
      epoch: 2,
      problem: { kind: "unavailable", message: "a pass was lost" },
    },
  ]);
});
