/** Who gets a link to a node and who does not, over real sockets: reliability.md 2.1 and 2.4. */
import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { systemClock } from "#actors/runtime/clock";
import { nodeCertificate } from "#actors/runtime/security/certificate";
import { freshIdentity } from "#actors/runtime/security/identity";
import { HandshakeLimits } from "#actors/runtime/transport/handshake-limits";
import type { Link } from "#actors/runtime/transport/network";
import type { Address } from "#protocol/ids";
import { Supervisor, SupervisorReply } from "#protocol/supervisor";
import { dialled } from "./dials.ts";
import { Home, intrude, type Node } from "./home.ts";

const homes: Home[] = [];
afterEach(async () => {
  for (const home of homes.splice(0)) await home.close();
});

async function home(): Promise<Home> {
  const made = await Home.make();
  homes.push(made);
  return made;
}

const DIALS_OF_EACH = 20;

describe("a node's port", () => {
  test(`T1 T7 none of ${DIALS_OF_EACH} dials of each kind of stranger reaches anything (10,000: bun run fuzz)`, async () => {
    const { answered, links, dials } = await dialled(DIALS_OF_EACH);
    const none = Object.fromEntries(Object.keys(answered).map((name) => [name, 0]));
    expect({ answered, links, dials }).toEqual({ answered: none, links: 0, dials: 8 * DIALS_OF_EACH });
  });

  test("T1 lets the same caller in once it shows a member's papers", async () => {
    const ours = await home();
    const host = await ours.start();
    const identity = freshIdentity();
    ours.members.add(identity.node);
    const cert = await nodeCertificate(identity, ours.key, ours.pem);
    // It is a member, and what it says next is not allowed: answered with hello, then closed.
    const heard = await intrude(host, { key: identity.pem, cert });
    expect({ heard: heard > 0, links: host.links.map(({ peer }) => peer.node === identity.node) }).toEqual({
      heard: true,
      links: [true],
    });
  });

  test("T7 refuses a member that speaks only what the list rules out", async () => {
    const ours = await home();
    const host = await ours.start();
    ours.minimumMinor = 1;
    const identity = freshIdentity();
    ours.members.add(identity.node);
    const cert = await nodeCertificate(identity, ours.key, ours.pem);
    const heard = await intrude(host, { key: identity.pem, cert, minor: 0 });
    expect({ heard, links: host.links.length, why: host.refused }).toEqual({
      heard: 0,
      links: 0,
      why: ["protocol 1.0 is too far from 1.0: update exo there or here"],
    });
  });
});

/** Resolves with the milliseconds until the link is closed. */
function closing(link: Link): Promise<number> {
  const startMs = performance.now();
  return new Promise((resolve) => {
    link.onClose = () => resolve(performance.now() - startMs);
  });
}

/** Sockets that this process has open. */
const sockets = () => readdirSync("/proc/self/fd").length;

describe("T34 a machine that is forgotten", () => {
  /** A stream of tensors from one to the other, which goes on until it may not. */
  const streaming = (link: Link, from: Node, to: Node) => {
    const body = new Uint8Array(1 << 20);
    const envelope = {
      to: `${to.id}/x` as Address,
      from: `${from.id}/x` as Address,
      message: Supervisor.List({}),
    };
    const pump = () => {
      while (link.sendBody(envelope, body));
    };
    link.onDrain = pump;
    pump();
  };

  test.each(["it sends", "it reads", "it reads no more"])(
    "loses its links at once while %s a stream of tensors, and gets no new one",
    async (how) => {
      const ours = await home();
      const [keeper, victim] = [await ours.start(), await ours.start()];
      const { near, far } = await ours.link(victim, keeper, "data");
      const [sender, receiver] = how === "it sends" ? [near, far] : [far, near];
      let received = 0;
      const flows = new Promise<void>((resolve) => {
        receiver.onBody = () => {
          received += 1;
          if (received === 4) resolve();
        };
      });
      if (how === "it sends") streaming(sender, victim, keeper);
      else streaming(sender, keeper, victim);
      await flows;
      if (how === "it reads no more") receiver.pause();
      const closed = closing(far);
      ours.members.delete(victim.id);
      keeper.network.recheck();
      const closedMs = await closed;
      const again = await ours.link(victim, keeper, "data").then(
        () => "in",
        () => "out",
      );
      // A second, and tenfold: what the stream may hold up is no other process's doing.
      expect({ soon: closedMs < 10_000, again }).toEqual({ soon: true, again: "out" });
    },
  );
});

test("T31 a member that opens link after link, and closes none, leaves no sockets behind", async () => {
  const ours = await home();
  const [host, member] = [await ours.start(), await ours.start()];
  // Nobody asked for them: the node ends each as it comes.
  host.network.onLink = (link) => link.close();
  const before = sockets();
  for (let i = 0; i < 100; i++) {
    const signal = AbortSignal.timeout(9000);
    await member.network.dial(host.endpoint, { lane: "file", expect: host.id, signal });
  }
  while (sockets() > before + 10) await Bun.sleep(10);
  expect(sockets()).toBeLessThan(before + 10);
});

describe("T8 a flood of dials", () => {
  test("has ten of each address begun in a second, and 64 at once, of which the oldest give way", () => {
    let nowMs = 0;
    const limits = new HandshakeLimits({ ...systemClock, nowMs: () => nowMs });
    const ended: string[] = [];
    const begun = Array.from({ length: 1000 }, (_, dial) => {
      nowMs = dial;
      const address = `10.0.0.${dial % 50}`;
      return limits.enter(address, () => ended.push(address)) ? 1 : 0;
    }).reduce((sum: number, one) => sum + one, 0);
    const member = limits.enter("10.0.1.1", () => ended.push("member"));
    member?.();
    expect({ begun, ended: ended.length, member: member !== undefined && !ended.includes("member") }).toEqual(
      {
        begun: 500,
        ended: 500 - 64 + 1,
        member: true,
      },
    );
  });

  test("counts all addresses of one IPv6 network as one caller, and IPv4 within IPv6 by itself", () => {
    const limits = new HandshakeLimits({ ...systemClock, nowMs: () => 0 });
    const many = (address: (i: number) => string | undefined) =>
      Array.from({ length: 20 }, (_, i) => limits.enter(address(i), () => {}) !== undefined).filter(Boolean)
        .length;
    expect([
      many((i) => `2001:db8::${i}`),
      many((i) => `2001:db8:0:1:${i}::1`),
      many((i) => `::ffff:10.0.0.${i}`),
      many((i) => `fe80::${i}`),
      // A socket of whoever has closed it already.
      many(() => undefined),
    ]).toEqual([10, 10, 20, 20, 0]);
  });

  test("that says nothing keeps a member neither out nor from its answers", async () => {
    const ours = await home();
    const [host, member] = [await ours.start(), await ours.start()];
    const { near, far } = await ours.link(member, host, "control");
    member.system.connect(host.id, near);
    host.system.connect(member.id, far);
    const to = host.system.spawn("answerer", ({ reply }) => reply(SupervisorReply.Stopped({ model: "m" })));
    const before = await answerMs(member, to);
    const mute = await Promise.all(Array.from({ length: 200 }, () => silent(host)));
    const during = await answerMs(member, to);
    const late = await ours.start();
    // Before those that say nothing are given up: a handshake has five seconds.
    const startMs = performance.now();
    await ours.link(late, host, "control");
    const inMs = performance.now() - startMs;
    for (const socket of mute) socket.terminate();
    expect({ answers: during < 10 * before + 20 || [before, during], in: inMs < 20_000 || inMs }).toEqual({
      answers: true,
      in: true,
    });
  });
});

/** A connection that never says a word. */
const silent = ({ endpoint: { host, port } }: Node) =>
  Bun.connect({ hostname: host, port, socket: { data: () => {}, close: () => {}, error: () => {} } });

/** What half of 100 answers took at most: any one may have waited for a processor. */
async function answerMs(from: Node, to: Address): Promise<number> {
  const took: number[] = [];
  for (let i = 0; i < 100; i++) {
    const startMs = performance.now();
    await from.system.ask(to, Supervisor.List({}), from.system.address("me"), 5000);
    took.push(performance.now() - startMs);
  }
  return took.toSorted((a, b) => a - b)[50] ?? 0;
}
