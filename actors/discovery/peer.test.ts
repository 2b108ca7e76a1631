import { expect, test } from "bun:test";
import type { Link } from "#actors/runtime/transport/network";
import type { NodeId } from "#protocol/ids";
import { Peer } from "./peer.ts";

/** What machine a sees of b, which is dialled by `dial`; `said`: what becomes of their links. */
function peerOf(dial: () => Promise<Link>) {
  const said: string[] = [];
  const linkOf = (name: string, dialled: boolean) =>
    ({
      dialled,
      peer: { node: "b", boot: "1" },
      remote: { host: "b", port: 1 },
      close: () => said.push(`${name} closed`),
    }) as unknown as Link;
  const peer = new Peer("b" as NodeId, {
    self: "a" as NodeId,
    clock: { nowMs: () => 0, epochSeconds: () => 0, after: () => () => {}, freshId: () => "1" },
    network: { dial },
    probe: async () => true,
    ask: () => {},
    mayDial: () => true,
    linked: () => said.push("linked"),
    unlinked: () => {},
    changed: () => {},
    tellCopied: () => {},
  });
  return { peer, linkOf, said };
}

test("of dials that cross the smaller id's stays; who dials again after that has no link, and gets one", () => {
  const { peer, linkOf, said } = peerOf(() => new Promise(() => {}));
  peer.start();
  peer.join(linkOf("own", true));
  peer.join(linkOf("crossing", false));
  peer.join(linkOf("again", false));
  expect(said).toEqual(["linked", "crossing closed", "own closed", "linked"]);
});

test("a link that comes in the moment in which its member is forgotten is closed", async () => {
  const dialled = Promise.withResolvers<Link>();
  const { peer, linkOf, said } = peerOf(() => dialled.promise);
  peer.learn({ host: "b", port: 1 });
  peer.start();
  peer.stop();
  dialled.resolve(linkOf("late", true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(said).toEqual(["late closed"]);
});
