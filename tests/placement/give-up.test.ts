/** A model that one machine held whole and that several hold now: its worker ends, and nobody's answer with it. */
import { expect, test } from "bun:test";
import { ActorSystem } from "#actors/runtime/system";
import { Instance } from "#actors/supervisor/instance/instance";
import { ShardWorkerReply } from "#protocol/shard-worker";
import { seeded } from "../sim/random.ts";
import { VirtualTime } from "../sim/time.ts";
import { facts } from "./model.ts";

const shard = { model: "m", path: "/m" };

function house() {
  const time = new VirtualTime();
  const system = new ActorSystem("node", time.clock(seeded(1)));
  const lost: string[] = [];
  const busy = { requests: 0 };
  const instance = new Instance(shard, {
    system,
    self: system.address("supervisor"),
    changed: () => {},
    ended: () => {},
    lost: (_, { message }, how) => lost.push(`${how}: ${message}`),
    startWorker: (_, exited) => ({
      pid: 1,
      link: { send: () => true, onReceive: () => {}, onClose: () => {}, close: () => {} },
      requests: () => busy.requests,
      idleMs: () => 0,
      whenIdle: (run) => run(),
      end: () => exited("it was told to"),
    }),
  });
  instance.start();
  return {
    time,
    instance,
    lost,
    busy,
    loaded: () => instance.heard(ShardWorkerReply.Loaded({ shard, facts })),
  };
}

const GIVEN_UP = "lost: the model is held by other machines now";

test("it ends once nobody uses it: not while it computes, nor before who was just given it can have used it", async () => {
  const { time, instance, lost, busy, loaded } = house();
  loaded();
  await time.pass(60_000);
  await instance.ready();
  instance.giveUp();
  await time.pass(4_000);
  const seen = [[...lost]];
  busy.requests = 1;
  await time.pass(60_000);
  seen.push([...lost]);
  busy.requests = 0;
  await time.pass(6_000);
  expect([...seen, lost]).toEqual([[], [], [GIVEN_UP]]);
});

test("it does not end while somebody waits for it to be loaded", async () => {
  const { time, instance, lost, loaded } = house();
  const waiting = instance.ready();
  instance.giveUp();
  await time.pass(60_000);
  loaded();
  expect([typeof (await waiting).worker, lost]).toEqual(["string", []]);
});

test("somebody who stops it meanwhile has stopped it", async () => {
  const { instance, lost, loaded } = house();
  loaded();
  instance.giveUp();
  await instance.stop(false);
  expect(lost).toEqual(["stopped: the model was stopped"]);
});

test("who is given it again before it has ended keeps it, until it is given up again", async () => {
  const { time, instance, lost, loaded } = house();
  loaded();
  instance.giveUp();
  await time.pass(4_000);
  await instance.ready();
  await time.pass(60_000);
  const kept = [...lost];
  instance.giveUp();
  await time.pass(6_000);
  expect([kept, lost]).toEqual([[], [GIVEN_UP]]);
});
