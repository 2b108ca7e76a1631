import { expect, test } from "bun:test";
import type { NodeView } from "#protocol/cluster";
import { Problem } from "#protocol/problem";
import type { ModelState } from "#protocol/supervisor";
import { fakePorts } from "../test/fake-ports.ts";
import { nodeView } from "../test/node-view.ts";
import { Feed } from "./feed.ts";
import { type Subscriber, UNREAD_MAX } from "./subscriber.ts";

const facts = (freeBytes: number): NonNullable<NodeView["facts"]> => ({
  name: "b",
  version: "1",
  os: "linux",
  arch: "x64",
  chip: "a chip",
  cores: 2,
  memoryBytes: 100,
  freeBytes,
  accelerators: [],
  interfaces: [],
  rdma: "none",
});
const model = (state: ModelState["state"], more: Partial<ModelState> = {}): ModelState => ({
  model: "m",
  path: "/m",
  state,
  requests: 0,
  ...more,
});

/** A home that the test changes, with time in its hand. */
function home() {
  const world = {
    nodes: [nodeView("a", { state: "self", leader: true })],
    models: [] as ModelState[],
    nowMs: 0,
  };
  const timers: { atMs: number; run: () => void }[] = [];
  let changed = () => {};
  const ports = fakePorts([], {
    nodes: async () => world.nodes,
    loaded: async () => world.models,
    changed: (run) => {
      changed = run;
      return () => {};
    },
    nowMs: () => world.nowMs,
    after: (ms, run) => {
      const timer = { atMs: world.nowMs + ms, run };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
    newId: () => "era",
  });
  const settled = async () => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  return {
    feed: new Feed(ports),
    ports,
    async become(change: { nodes?: NodeView[]; models?: ModelState[] }) {
      Object.assign(world, change);
      changed();
      await settled();
    },
    async pass(ms: number) {
      world.nowMs += ms;
      for (const timer of timers.filter(({ atMs }) => atMs <= world.nowMs)) {
        timers.splice(timers.indexOf(timer), 1);
        timer.run();
      }
      await settled();
    },
  };
}

/** What a reader is told from now on, one line each, up to the end of the stream. */
function reading(subscriber: Subscriber) {
  const lines: string[] = [];
  const ended = (async () => {
    for await (const { id, type, data } of subscriber.events())
      lines.push(`${id ?? "-"} ${type} ${brief(data)}`);
    lines.push("end");
  })();
  return { lines, ended };
}

const brief = (data: object): string =>
  JSON.stringify(data, (key, value) => (key === "labels" || key === "addresses" ? undefined : value))
    .replaceAll(/"(leader|voter|drained|excluded)":false,?|"|[{}]/g, "")
    .slice(0, 160);

test("a reader has a snapshot, then what appears, changes, leads and goes, and nothing of mere silence", async () => {
  const { feed, become } = home();
  const { lines } = reading(await feed.subscribe(null));
  const a = nodeView("a", { state: "self", leader: true });
  await become({ nodes: [a, nodeView("b", { state: "unpaired", silentMs: 5 })] });
  await become({ nodes: [a, nodeView("b", { state: "unpaired", silentMs: 900 })] });
  await become({ nodes: [a, nodeView("b", { state: "up" })] });
  await become({ nodes: [{ ...a, leader: false }, nodeView("b", { state: "up", leader: true })] });
  await become({ nodes: [{ ...a, leader: false }, nodeView("b", { state: "suspect", leader: true })] });
  await become({ nodes: [{ ...a, leader: true }] });
  expect(lines.join("\n")).toMatchInlineSnapshot(`
    "era-0 snapshot nodes:[node:a,name:a,state:self,leader:true,],models:[]
    era-1 node.appeared node:node:b,name:b,state:unpaired,silentMs:5
    era-2 node.changed node:node:b,name:b,state:up,,was:unpaired
    era-3 leader.changed leader:b,was:a
    era-4 node.changed node:node:b,name:b,state:suspect,leader:true,,was:up
    era-5 node.gone node:b,name:b
    era-6 leader.changed leader:a,was:b"
  `);
});

test("a model is told of from loading to gone, its requests are not", async () => {
  const { feed, become } = home();
  const { lines } = reading(await feed.subscribe(null));
  await become({ models: [model("loading")] });
  await become({ models: [model("ready")] });
  await become({ models: [model("ready", { requests: 3 })] });
  await become({ models: [model("stopping")] });
  await become({ models: [] });
  expect(lines.slice(1).join("\n")).toMatchInlineSnapshot(`
    "era-1 model.loading model:model:m,state:loading,requests:0
    era-2 model.ready model:model:m,state:ready,requests:0
    era-3 model.stopping model:model:m,state:stopping,requests:0
    era-4 model.unloaded model:m"
  `);
});

test("facts of a node and progress of a model come at most every two seconds, the last of them always", async () => {
  const { feed, become, pass } = home();
  const { lines } = reading(await feed.subscribe(null));
  const b = (free: number) => ({ nodes: [nodeView("b", { facts: facts(free) })] });
  const loading = (loadedBytes: number) => ({ models: [model("loading", { loadedBytes, totalBytes: 9 })] });
  await become({ ...b(1), ...loading(0) });
  for (let at = 2; at < 40; at++) {
    await become({ ...b(at), ...loading(at) });
    await pass(100);
  }
  await pass(2000);
  await pass(2000);
  const told = lines.map((line) => /freeBytes:(\d+)|loadedBytes:(\d+)/.exec(line)?.[0]).filter(Boolean);
  expect(told).toMatchInlineSnapshot(`
    [
      "freeBytes:1",
      "loadedBytes:0",
      "freeBytes:2",
      "loadedBytes:2",
      "freeBytes:21",
      "loadedBytes:21",
      "freeBytes:39",
      "loadedBytes:39",
    ]
  `);
});

test("a reader that comes back goes on where it was; one that was away too long, or from another start, begins anew", async () => {
  const { feed, become } = home();
  const first = await feed.subscribe(null);
  const swap = async (times: number) => {
    for (let at = 0; at < times; at++)
      await become({ nodes: [nodeView("a"), ...(at % 2 ? [] : [nodeView("b")])] });
  };
  await swap(3);
  feed.leave(first);
  const from = async (lastId: string | null) => {
    const subscriber = await feed.subscribe(lastId);
    feed.leave(subscriber);
    const { lines, ended } = reading(subscriber);
    await ended;
    return lines.map((line) => line.split(" ").slice(0, 2).join(" "));
  };
  const near = [
    await from("era-2"),
    await from("era-4"),
    await from("era-9"),
    await from("old-2"),
    await from("x"),
  ];
  await swap(600);
  expect([near, await from("era-2")]).toMatchInlineSnapshot(`
    [
      [
        [
          "era-3 leader.changed",
          "era-4 node.gone",
          "era-5 node.appeared",
          "end",
        ],
        [
          "era-5 node.appeared",
          "end",
        ],
        [
          "era-5 snapshot",
          "end",
        ],
        [
          "era-5 snapshot",
          "end",
        ],
        [
          "era-5 snapshot",
          "end",
        ],
      ],
      [
        "era-604 snapshot",
        "end",
      ],
    ]
  `);
});

test("a reader that does not read is told that it was dropped, the others go on", async () => {
  const { feed, become } = home();
  const [slow, quick] = [await feed.subscribe(null), reading(await feed.subscribe(null))];
  for (let at = 0; at < UNREAD_MAX + 5; at++)
    await become({ nodes: [nodeView("a"), ...(at % 2 ? [] : [nodeView("b")])] });
  const { lines, ended } = reading(slow);
  await ended;
  expect([lines, quick.lines.length]).toEqual([
    [`- dropped reason:too slow: events came faster than they were read,missed:${UNREAD_MAX + 1}`, "end"],
    UNREAD_MAX + 8,
  ]);
});

test("who cannot be asked now is asked again, and what changed meanwhile is told", async () => {
  const { feed, ports, become, pass } = home();
  const { lines } = reading(await feed.subscribe(null));
  const nodes = ports.nodes;
  Object.assign(ports, {
    nodes: async () => {
      throw new Problem("unavailable", "nobody answers");
    },
  });
  await become({ nodes: [nodeView("a"), nodeView("b")] });
  Object.assign(ports, { nodes });
  await pass(2000);
  expect(lines.some((line) => line.includes("node.appeared"))).toBe(true);
});

test("the end of the server is the last that readers are told, and readers are bounded", async () => {
  const { feed } = home();
  const { lines, ended } = reading(await feed.subscribe(null));
  for (let at = 1; at < 256; at++) await feed.subscribe(null);
  await expect(feed.subscribe(null)).rejects.toThrow("256 readers");
  feed.close("the server ends");
  await ended;
  expect(lines.slice(1)).toEqual(["- closed reason:the server ends", "end"]);
});
