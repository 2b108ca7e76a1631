/** One machine's parts of models: what it does as the home's log changes, and what it tells who leads. */
import { expect, test } from "bun:test";
import type { Address, NodeId } from "#protocol/ids";
import { ShardWorkerReply } from "#protocol/shard-worker";
import { me, other, placed } from "./model.ts";
import { Room } from "./room.ts";

/** A machine whose part of epoch 1 is loaded. */
async function loaded(): Promise<Room> {
  const room = new Room();
  await room.agree(placed());
  await room.loads();
  return room;
}

const parting = (epoch: number) =>
  ShardWorkerReply.Parted({ instance: "i", epoch, problem: { kind: "unavailable", message: "no word" } });

test("a part is loaded as the log says, who leads hears how far it is, and what is held alone of that model is given up", async () => {
  const room = new Room();
  await room.agree(placed());
  const shard = { model: "m", path: "/m" };
  for (const loadedBytes of [10, 39, 41])
    await room.says(ShardWorkerReply.Progress({ shard, loadedBytes, totalBytes: 1000 }));
  await room.loads();
  await room.agree();
  expect([room.told, room.did, room.givenUp]).toEqual([
    ["1: 1:loading", "1: 1:loading:20", "1: 1:loading:40", "1: 1:loaded", "2: 1:loaded", "2: nothing"],
    ["Load 1 0-2", "ends 1", `lost ${room.workers[0]?.name}: the model was stopped, stopped`],
    ["m"],
  ]);
});

test("who leads hears every half minute that a part is still being fetched, however slowly", async () => {
  const room = new Room();
  const fetched = Promise.withResolvers<void>();
  let progress: (fetchedBytes: number, totalBytes: number) => void = () => {};
  room.fetching = (part) => {
    progress = part.progress;
    return fetched.promise;
  };
  await room.agree(placed());
  for (const bytes of [100, 101, 102, 103, 104, 105]) {
    progress(bytes, 1e12);
    await room.time.pass(15_000);
  }
  const during = room.told.splice(0);
  fetched.resolve();
  await room.time.pass(10);
  await room.loads();
  expect([during, room.told]).toEqual([
    ["1: 1:loading", "1: 1:loading:fetched 100", "1: 1:loading:fetched 102", "1: 1:loading:fetched 104"],
    ["1: 1:loading", "1: 1:loaded"],
  ]);
});

test("who leads is told again in each term, and when it asks, and else only what is new", async () => {
  const room = await loaded();
  room.told.splice(0);
  room.holder.follow();
  await room.time.pass(10);
  const same = room.told.splice(0);
  room.term = 2;
  room.holder.follow();
  await room.time.pass(10);
  const elected = room.told.splice(0);
  room.holder.tell();
  await room.time.pass(10);
  expect([same, elected, room.told]).toEqual([[], ["1: 1:loaded"], ["1: 1:loaded"]]);
});

test("a machine that was started again loads nothing of what is ready or ending, and says that it holds none", async () => {
  const room = new Room();
  await room.agree(placed({ state: "ready" }));
  await room.agree(placed({ state: "draining" }));
  expect([room.told, room.did]).toEqual([["1: nothing"], []]);
});

test("a worker goes on in the next epoch where its layers are the same: parted, loaded, or still loading", async () => {
  const parted = await loaded();
  await parted.says(parting(1));
  const late = new Room();
  await late.agree(placed());
  for (const room of [parted, late]) await room.agree(placed({ epoch: 5 }));
  await late.loads();
  const joined = parted.outcome(
    parted.holder.join(me, {
      instance: "i",
      epoch: 5,
      workers: [parted.workers[0]?.name, "other/worker-9"] as Address[],
    }),
  );
  await parted.says(ShardWorkerReply.Joined({ instance: "i", epoch: 1 }));
  await parted.says(ShardWorkerReply.Joined({ instance: "i", epoch: 5 }));
  // News of the epoch before is old.
  await parted.says(parting(1));
  expect([parted.told.slice(-3), parted.did, await joined, late.told.at(-1), late.did]).toEqual([
    ["1: 1:loaded", "1: 1:parted", "5: 5:loaded"],
    ["Load 1 0-2", "Join 1 5"],
    "done",
    "5: 5:loaded",
    ["Load 1 0-2"],
  ]);
});

test("other layers, another model or a worker that died are loaded anew", async () => {
  const rooms = await Promise.all([loaded(), loaded(), loaded(), loaded()]);
  const [cut, copy, dead, partedThenDead] = rooms as [Room, Room, Room, Room];
  await cut.agree(
    placed({
      epoch: 5,
      stages: [
        { node: me, layers: { start: 0, end: 3 } },
        { node: other, layers: { start: 3, end: 4 } },
      ],
    }),
  );
  await copy.agree(placed({ epoch: 5, digest: "e" }));
  await partedThenDead.says(parting(1));
  for (const room of [dead, partedThenDead]) {
    room.workers[0]?.kill("it died");
    await room.agree(placed({ epoch: 5 }));
  }
  const loads = (room: Room) => room.did.filter((each) => !each.startsWith("lost"));
  expect(rooms.map(loads)).toEqual([
    ["Load 1 0-2", "ends 1", "Load 2 0-3"],
    ["Load 1 0-2", "ends 1", "Load 2 0-2"],
    ["Load 1 0-2", "Load 2 0-2"],
    ["Load 1 0-2", "Load 2 0-2"],
  ]);
});

test("a part that gives way to other layers says nothing of the new epoch before these are begun", async () => {
  const room = await loaded();
  room.told.splice(0);
  await room.agree(
    placed({
      epoch: 5,
      stages: [
        { node: me, layers: { start: 0, end: 3 } },
        { node: other, layers: { start: 3, end: 4 } },
      ],
    }),
  );
  await room.loads();
  expect(room.told.filter((each) => each.startsWith("5: "))).toEqual(["5: 5:loading", "5: 5:loaded"]);
});

test("a worker that dies while it loads or later is told of, with why", async () => {
  const [early, late] = [new Room(), await loaded()];
  await early.agree(placed());
  for (const room of [early, late]) {
    room.workers[0]?.kill("it died");
    await room.time.pass(10);
  }
  expect([early, late].map(({ told, did }) => [told.at(-1), did.at(-1)])).toEqual([
    ["1: 1:failed (m: it died)", "Load 1 0-2"],
    ["1: 1:failed (m: it died)", `lost ${late.workers[0]?.name}: m: it died, crashed`],
  ]);
});

test("a part is ended only where the home agreed to that, which may be heard a moment later", async () => {
  const [early, soon, never] = [await loaded(), await loaded(), await loaded()];
  const later = soon.holder.end("i", 1, true);
  await soon.time.pass(200);
  const before = soon.did.length;
  await soon.agree(placed({ state: "draining" }));
  await early.agree(placed({ state: "draining" }));
  const answers = [
    await early.outcome(early.holder.end("i", 1, true)),
    await soon.outcome(later),
    await never.outcome(never.holder.end("i", 1, true), 6000),
  ];
  expect([answers, before, [early, soon, never].map(({ did }) => did.includes("ends 1"))]).toEqual([
    ["done", "done", "the home has not agreed that this model ends"],
    1,
    [true, true, false],
  ]);
});

test("workers are told of each other by who leads alone, and only of machines of their placement", async () => {
  const room = await loaded();
  const own = room.workers[0]?.name;
  const join = (from: NodeId, epoch: number, ...workers: readonly (string | undefined)[]) =>
    room.outcome(room.holder.join(from, { instance: "i", epoch, workers: workers as Address[] }));
  expect([
    await join(other, 1, own, "other/worker-1"),
    await join(me, 2, own, "other/worker-1"),
    await join(me, 1, own, "third/worker-1"),
    await join(me, 1, own),
    await join(me, 1, own, "other/api-gateway"),
    room.did,
  ]).toEqual([
    "only who leads tells workers of each other",
    "epoch 2 of that instance is not held here",
    "these are not the machines of that placement",
    "these are not the machines of that placement",
    "these are not the machines of that placement",
    ["Load 1 0-2"],
  ]);
});

test("a rank is told by what it adds up with the others, in the epoch that it is about", async () => {
  const room = new Room();
  const layers = { start: 0, end: 4 };
  const way = (devices: (string | null)[]) => ({ backend: "jaccl" as const, devices, host: "10.0.0.1" });
  const ranks = [
    { node: me, layers, rank: 0, way: way([null, "rdma_en2"]) },
    { node: other, layers, rank: 1, way: way(["rdma_en3", null]) },
  ];
  await room.agree(placed({ stages: ranks }));
  await room.loads();
  const workers = [room.workers[0]?.name, "other/worker-1"] as Address[];
  const first = room.outcome(room.holder.join(me, { instance: "i", epoch: 1, workers }));
  await room.says(ShardWorkerReply.Joined({ instance: "i", epoch: 1 }));
  // The same worker goes on, as its part is the same.
  await room.agree(placed({ stages: ranks.map(({ way: _, ...rank }) => rank), epoch: 2 }));
  const next = room.outcome(room.holder.join(me, { instance: "i", epoch: 2, workers }));
  await room.says(ShardWorkerReply.Joined({ instance: "i", epoch: 2 }));
  expect([await first, await next, ...room.did]).toEqual([
    "done",
    "done",
    "Load 1 whole",
    'Join 1 1 as 0 of [[null,"rdma_en2"],["rdma_en3",null]] at 10.0.0.1',
    "Join 1 2",
  ]);
});

test("a part that this machine gave up is not begun again in that epoch", async () => {
  const room = await loaded();
  await room.holder.abandon("i");
  await room.agree(placed());
  expect([room.told.at(-1), room.did.filter((each) => each.startsWith("Load"))]).toEqual([
    expect.stringMatching(/nothing$/),
    ["Load 1 0-2"],
  ]);
});

test("nothing is said of an epoch that this machine has not begun yet", async () => {
  const room = await loaded();
  room.heard = 5;
  room.instances = [placed({ epoch: 5, digest: "e" })];
  await room.says(parting(1));
  const before = room.told.at(-1);
  room.holder.follow();
  await room.time.pass(10);
  expect([before, room.told.at(-1)]).toEqual(["1: 1:parted", "5: 5:loading"]);
});

test("who leads hears that nobody asks a part anything, and soon that somebody does", async () => {
  const room = new Room();
  await room.agree(placed());
  await room.loads();
  room.idleMs = 0;
  room.told.splice(0);
  await room.time.pass(599_000);
  const early = room.told.splice(0);
  room.idleMs = 700_000;
  await room.time.pass(6_000);
  const late = room.told.splice(0);
  room.idleMs = 0;
  await room.time.pass(6_000);
  expect([early, late, room.told]).toEqual([[], ["1: 1:loaded idle"], ["1: 1:loaded"]]);
});

test("a part that was idle and parted is looked at in the next epoch as before", async () => {
  const room = await loaded();
  const said: (string | undefined)[] = [];
  const after = async (ms: number, idleMs: number) => {
    room.idleMs = idleMs;
    await room.time.pass(ms);
    said.push(room.told.at(-1));
  };
  await after(605_000, 700_000);
  await room.says(parting(1));
  await after(6_000, 700_000);
  await room.agree(placed({ epoch: 2 }));
  await after(10_000, 0);
  await after(605_000, 700_000);
  expect(said).toEqual(["1: 1:loaded idle", "1: 1:parted", "2: 2:loaded", "2: 2:loaded idle"]);
});

test("who leads hears of a worker that heard no more of the others and ended itself, which is not held against this machine", async () => {
  const room = await loaded();
  room.workers[0]?.kill("it waited 30 s for the sums of the others", "lost");
  await room.time.pass(10);
  expect([room.told.at(-1), room.did.at(-1)]).toEqual([
    "1: 1:waited (m: it waited 30 s for the sums of the others)",
    expect.stringMatching(/^lost .*: m: it waited 30 s for the sums of the others, lost$/),
  ]);
});
