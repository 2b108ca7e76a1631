/** A machine that begins anew under the same name, as one does that is forgotten and let in again: its log is empty. */
import { expect, test } from "bun:test";
import { Raft } from "#actors/runtime/raft/raft";
import type { NodeId } from "#protocol/ids";
import { Raft as Message, type RaftMessage } from "#protocol/raft";
import { SimulatedHome } from "./home.ts";
import { RaftDisk, RaftWorld } from "./raft-world.ts";

/** Two messages for each heartbeat of 250 ms to each of two, each noted twice, and as many again. */
const NOTES_IN_3_S_MAX = 200;
/** Of a home of four, with what it says as a machine comes in. */
const NOTES_IN_4_S_MAX = 1000;

test("it gives no vote before it holds the log: who lags may count on what it held before", async () => {
  const world = new RaftWorld(4, 3);
  const disk = new RaftDisk({ voters: [], learners: [] }, () => undefined);
  const said: RaftMessage[] = [];
  const raft = new Raft("d" as NodeId, {
    clock: world.time.clock(() => 0.5),
    random: () => 0.5,
    store: disk,
    since: 70,
    send: (_, message) => said.push(message),
    state: { apply: () => {}, snapshot: () => new Uint8Array(), restore: () => {} },
    changed: () => {},
  });
  raft.start();
  const vote = Message.Vote({ term: 6, lastIndex: 76, lastTerm: 4, pre: false });
  raft.receive("c" as NodeId, vote);
  const config = { voters: ["a", "b", "c"] as NodeId[], learners: ["d"] as NodeId[] };
  const snapshot = { index: 70, term: 4, config, state: new Uint8Array(1) };
  raft.receive("a" as NodeId, Message.Install({ term: 7, snapshot }));
  await world.time.pass(1500);
  raft.receive("c" as NodeId, { ...vote, term: 8 });
  raft.stop();
  expect(said.map((message) => ("granted" in message ? message.granted : message.type))).toEqual([
    false,
    "Raft.AppendReply",
    true,
  ]);
});

test("who leads sends all of the log to one that lost it, and does not argue about it", async () => {
  const world = new RaftWorld(3, 3);
  await world.time.pass(4000);
  for (let turn = 0; turn < 20; turn++) {
    world.propose(2);
    await world.time.pass(100);
  }
  const lost = world.names.find((name) => world.nodes.get(name)?.role === "follower") as NodeId;
  world.kill(lost);
  world.disks.set(lost, new RaftDisk({ voters: [...world.names], learners: [] }, () => undefined));
  world.start(lost);
  const before = world.trace.count;
  await world.time.pass(3000);
  const notes = world.trace.count - before;
  world.checkHealed();
  expect({
    violations: world.violations,
    isCalm: notes < NOTES_IN_3_S_MAX,
    did: world.confirmed.length,
  }).toEqual({
    violations: [],
    isCalm: true,
    did: 40,
  });
});

test("a machine that is forgotten and let in again under the same leader has all that was set", async () => {
  const home = new SimulatedHome(9);
  const names = ["a", "b", "c", "d"];
  await home.pair("a", "b", "c", "d");
  for (const name of names) await home.start(name);
  await home.passed(6000);
  await home.settled(home.node("a").set("before", "1"));
  await home.settled(home.node("a").change({ type: "forget", node: home.id("d") }));
  await home.until(() => !home.isIn("d"));
  const { publicKey } = home.machine("d").identity;
  const record = await home.settled(home.node("a").admit({ publicKey, name: "d", addresses: [] }));
  await home.settled(home.node("d").adopt(record));
  const before = home.trace.count;
  await home.passed(4000);
  const isCalm = home.trace.count - before < NOTES_IN_4_S_MAX;
  const { settings } = home.node("d");
  for (const name of names) home.kill(name);
  expect({ isCalm, settings, since: (record.since ?? 0) > 0 }).toEqual({
    isCalm: true,
    settings: { before: "1" },
    since: true,
  });
});
