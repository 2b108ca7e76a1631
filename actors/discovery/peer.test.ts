import { expect, test } from "bun:test";
import type { Endpoint, Link } from "#actors/runtime/transport/network";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { Peer } from "./peer.ts";

/** What machine a sees of b, which is dialled by `dial`; `said`: what becomes of their links. */
function peerOf(dial: (to: Endpoint) => Promise<Link>) {
  const said: string[] = [];
  const time = { nowMs: 0 };
  const timers = new Set<{ readonly ms: number; readonly run: () => void }>();
  const linkOf = (name: string, dialled: boolean) =>
    ({
      dialled,
      peer: { node: "b", boot: "1" },
      remote: { host: "b", port: 1 },
      close: () => said.push(`${name} closed`),
    }) as unknown as Link;
  const peer = new Peer("b" as NodeId, {
    self: "a" as NodeId,
    clock: {
      nowMs: () => time.nowMs,
      epochSeconds: () => 0,
      after: (ms, run) => {
        const timer = { ms, run };
        timers.add(timer);
        return () => void timers.delete(timer);
      },
      freshId: () => "1",
    },
    network: { dial },
    probe: async ({ host }) => {
      said.push(`${host} probed`);
      return true;
    },
    ask: () => {},
    mayDial: () => true,
    linked: () => said.push("linked"),
    unlinked: () => {},
    changed: () => {},
    tellCopied: () => {},
  });
  return { peer, linkOf, said, time, timers };
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

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("where it proved itself its kernel is asked, and only a refusal from there is its death", async () => {
  const cause = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  const answers = [{}, { cause }, { cause }];
  const { peer, linkOf, said, time, timers } = peerOf(async ({ host }) => {
    said.push(host);
    throw new Problem("network", "no link", answers.shift());
  });
  const link = linkOf("own", true);
  peer.start();
  peer.join(link);
  // Anybody's word, as a datagram that is sent again from elsewhere.
  peer.learn({ host: "c", port: 1 });
  time.nowMs = 1000;
  peer.check();
  link.onClose("the other side closed");
  for (let dial = 0; dial < 3; dial++) {
    if (dial > 0) [...timers].at(-1)?.run();
    await turn();
    said.push(peer.state);
  }
  // Once it is dead it is dialled anew.
  expect(said).toEqual(["linked", "b probed", "b", "suspect", "c", "suspect", "b", "b", "dead"]);
});

test("where it may have been before is not where it proved itself, though it dialled from there", async () => {
  const cause = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  const { peer, linkOf, said } = peerOf(async ({ port }) => {
    said.push(`dials ${port}`);
    throw new Problem("network", "no link", port === 1 ? { cause } : {});
  });
  peer.learn({ host: "b", port: 1 });
  peer.start();
  await turn();
  const link = linkOf("accepted", false);
  peer.join(link);
  peer.where.met({ host: "b", port: 2 });
  link.onClose("the connection was reset");
  await turn();
  said.push(peer.state);
  expect(said).toEqual(["dials 1", "linked", "dials 2", "suspect"]);
});
