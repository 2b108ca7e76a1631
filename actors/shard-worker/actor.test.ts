/** The life of a ShardWorker with a fake engine, and what the real one refuses before it touches anything. */
import { expect, test } from "bun:test";
import { createActor } from "xstate";
import type { Address, RequestId } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { problemBody } from "#protocol/problem";
import type { ShardFacts } from "#protocol/shard";
import { ShardWorker } from "#protocol/shard-worker";
import { createHost } from "./host.ts";
import { shardWorker } from "./index.ts";

const asker = "node/asker" as Address;
const facts = { layers: 2 } as ShardFacts;
const load = (model: string) => ShardWorker.Load({ shard: { model, path: `/${model}` }, replyTo: asker });

function world() {
  const told: AnyMessage[] = [];
  let loaded = (_: ShardFacts): void => {};
  const released: string[] = [];
  const engine = {
    load: () => new Promise<ShardFacts>((resolve) => (loaded = resolve)),
    submit: () => {},
    cancel: () => {},
    join: () => {},
    release: () => void released.push("released"),
  };
  const actor = createActor(shardWorker({ engine, tell: (_, message) => void told.push(message) })).start();
  const finish = async () => {
    loaded(facts);
    await Promise.resolve();
  };
  return { actor, told, finish, released };
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

test("one rank of several is refused: no worker adds up yet what they compute", async () => {
  const clock = { nowMs: () => 0, epochSeconds: () => 0, after: () => () => {}, freshId: () => "id" };
  const host = createHost({ libraryFolder: "/nowhere", clock, crash: () => {} });
  const shard = { model: "big", path: "/big", rank: 1, world: 2 };
  const why: unknown = await host
    .load(shard, () => {}, new AbortController().signal)
    .catch((error: unknown) => error);
  expect(problemBody(why)).toEqual({
    kind: "invalid",
    message:
      "big is asked for as rank 1 of 2, but this version cannot share the layers of a model between workers",
    param: "world",
    remedy: "load the whole model in one worker: leave rank and world out",
  });
});
