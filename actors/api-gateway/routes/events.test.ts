import { afterEach, expect, test } from "bun:test";
import { type ApiKey, apiKeyText } from "#protocol/api-key";
import type { NodeView } from "#protocol/cluster";
import { createGateway, type Gateway, type GatewayOptions } from "../serve.ts";
import { fakePorts } from "../test/fake-ports.ts";
import { nodeView } from "../test/node-view.ts";
import { connect } from "../test/raw.ts";

const opened: Gateway[] = [];
afterEach(() => Promise.all(opened.splice(0).map((gateway) => gateway.stop())));

const view = (name: string): NodeView => nodeView(name, { state: "unpaired" });

function served(options: Partial<GatewayOptions> = {}) {
  const nodes: NodeView[] = [];
  const watchers = new Set<() => void>();
  const timers: { ms: number; run: () => void }[] = [];
  const ports = fakePorts([], {
    nodes: async () => [...nodes],
    loaded: async () => [],
    newId: () => "era",
    changed: (run) => {
      watchers.add(run);
      return () => watchers.delete(run);
    },
    after: (ms, run) => {
      const timer = { ms, run };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
  });
  const gateway = createGateway(ports, { host: "127.0.0.1", port: 0, ...options });
  opened.push(gateway);
  return {
    gateway,
    timers,
    appear(name: string) {
      nodes.push(view(name));
      for (const each of watchers) each();
    },
    async ask(more = "") {
      const client = await connect(gateway.port);
      client.write(`GET /exo/v1/events HTTP/1.1\r\nHost: localhost:${gateway.port}\r\n${more}\r\n`);
      return client;
    },
  };
}

test("events are a stream of named records with ids, which a reader that was cut off goes on after", async () => {
  const { appear, ask } = served();
  const first = await ask();
  await first.heard(/event: snapshot/);
  appear("b");
  const text = await first.heard(/node\.appeared[\s\S]*\n\n/);
  appear("c");
  await first.heard(/"c"/);
  first.end();
  const again = await (await ask("Last-Event-ID: era-1\r\n")).heard(/"c"[\s\S]*\n\n/);
  expect([
    /content-type: (.*)\r\n/i.exec(text)?.[1],
    text.match(/^(?:retry|id|event|data): .*$/gm)?.map((line) => line.slice(0, 40)),
    again.match(/^(?:retry|id|event): .*$/gm),
  ]).toEqual([
    "text/event-stream; charset=utf-8",
    [
      "retry: 1000",
      "id: era-0",
      "event: snapshot",
      'data: {"nodes":[],"models":[]}',
      "id: era-1",
      "event: node.appeared",
      'data: {"node":{"node":"b","name":"b","st',
    ],
    ["id: era-2", "event: node.appeared"],
  ]);
});

test("a silent stream says that it lives, and the end of the server ends it with a word", async () => {
  const { gateway, timers, ask } = served();
  const client = await ask();
  await client.heard(/event: snapshot/);
  while (!timers.some(({ ms }) => ms === 8000)) await new Promise((resolve) => setImmediate(resolve));
  timers.find(({ ms }) => ms === 8000)?.run();
  await client.heard(/: keep-alive/);
  await gateway.stop();
  expect(await client.closed).toContain('event: closed\ndata: {"reason":"the server ends"}');
});

test("T34: a revoked key ends the events it watched, and says so", async () => {
  const text = apiKeyText("aaaaaaaa", new Uint8Array(32));
  const hash = new Bun.CryptoHasher("sha256").update(text).digest("hex");
  const key: ApiKey = { id: "aaaaaaaa", name: "watcher", hash, scopes: ["cluster.read"], createdAt: 0 };
  const held = new Map([[key.id, key]]);
  const { timers, ask } = served({ requireKey: true, keys: { find: (id) => held.get(id) } });
  const client = await ask(`Authorization: Bearer ${text}\r\n`);
  await client.heard(/event: snapshot/);
  held.clear();
  for (const { run } of timers.filter(({ ms }) => ms <= 1000)) run();
  expect(await client.heard(/0\r\n\r\n$/)).toContain('event: closed\ndata: {"reason":"the key was revoked"}');
});

test("asking for the head of the events opens no stream, and the state has the id to go on from", async () => {
  const { gateway } = served();
  const head = await fetch(`${gateway.url}/exo/v1/events`, { method: "HEAD" });
  const state = await fetch(`${gateway.url}/exo/v1/state`);
  expect([head.status, await state.json()]).toEqual([200, { version: "era-0", nodes: [], models: [] }]);
});
