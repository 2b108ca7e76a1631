import { expect, test } from "bun:test";
import type { Link } from "#actors/runtime/transport/network";
import type { NodeId } from "#protocol/ids";
import { Peer } from "./peer.ts";

test("a link that comes in the moment in which its member is forgotten is closed", async () => {
  const said: string[] = [];
  const dialled = Promise.withResolvers<Link>();
  const link = {
    dialled: true,
    peer: { node: "b", boot: "1" },
    remote: { host: "b", port: 1 },
    close: () => said.push("closed"),
  } as unknown as Link;
  const peer = new Peer("b" as NodeId, {
    self: "a" as NodeId,
    clock: { nowMs: () => 0, epochSeconds: () => 0, after: () => () => {}, freshId: () => "1" },
    network: { dial: () => dialled.promise },
    probe: async () => true,
    ask: () => {},
    mayDial: () => true,
    linked: () => said.push("linked"),
    unlinked: () => {},
    changed: () => {},
    tellCopied: () => {},
  });
  peer.learn({ host: "b", port: 1 });
  peer.start();
  peer.stop();
  dialled.resolve(link);
  await new Promise((resolve) => setImmediate(resolve));
  expect(said).toEqual(["closed"]);
});
