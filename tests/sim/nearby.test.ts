/** Machines of one network that shout at each other, on virtual time. */
import { describe, expect, test } from "bun:test";
import { encodePresence, namespaceDigest } from "#actors/discovery/datagram";
import { Nearby } from "#actors/discovery/nearby";
import { seeded } from "./random.ts";
import { VirtualTime } from "./time.ts";

class Segment {
  readonly time = new VirtualTime();
  readonly nodes = new Map<string, Nearby>();
  /** Addresses of machines behind a router, that shouts do not reach. */
  readonly beyond = new Map<string, string>();
  readonly copies: string[] = [];
  bytes = 0;
  /** To one machine alone. */
  sentBytes = 0;
  pairingPort = 0;

  start(name: string, namespace = "default", { elsewhere = [] as readonly string[], boot = 0 } = {}): void {
    const clock = this.time.clock(seeded(1));
    const nearby: Nearby = new Nearby({
      clock,
      namespace: namespaceDigest(namespace),
      presence: () => ({
        minor: 0,
        node: new Uint8Array(32).fill(name.charCodeAt(0)),
        boot: new Uint8Array(16).fill(boot),
        name,
        version: "1",
        port: 1,
        pairingPort: this.pairingPort,
      }),
      elsewhere: () => elsewhere.map((host) => ({ host, port: 9 })),
      isNear: (host) => !this.#isBeyond(host, name),
      copied: (host) => this.copies.push(host),
      datagrams: {
        shout: (bytes) => {
          this.bytes += bytes.length;
          for (const [other, { receive }] of this.#receivers())
            if (!this.beyond.has(other) && !this.beyond.has(name)) receive(bytes, hostOf(name));
        },
        send: (bytes, { host }) => {
          this.sentBytes += bytes.length;
          for (const [other, { receive }] of this.#receivers())
            if (hostOf(other) === host) receive(bytes, hostOf(name));
        },
      },
      changed: () => {},
    });
    this.nodes.set(boot === 0 ? name : `${name}${boot}`, nearby);
    nearby.start();
  }

  #isBeyond(host: string, self: string): boolean {
    return this.beyond.has(self) || [...this.beyond.keys()].some((each) => hostOf(each) === host);
  }

  #receivers() {
    return [...this.nodes].map(
      ([name, node]) =>
        [
          name,
          {
            receive: (bytes: Uint8Array, host: string) =>
              this.time.after(1, () => node.receive(bytes, { host, port: 9 })),
          },
        ] as const,
    );
  }

  seenBy(name: string): string[] {
    return (this.nodes.get(name)?.neighbours ?? []).map((each) => each.name).sort();
  }
}

const hostOf = (name: string) => `10.0.0.${name}`;

const letters = [..."abcdefghijklmnopqrst"];

describe("machines of one network", () => {
  test("20 see each other within 3 seconds, and then say little", async () => {
    const segment = new Segment();
    for (const name of letters) {
      segment.start(name);
      await segment.time.pass(37);
    }
    await segment.time.pass(3000);
    const complete = letters.every((name) => segment.seenBy(name).length === 19);
    segment.bytes = 0;
    await segment.time.pass(600_000);
    expect({ complete, quiet: segment.bytes / 600 / 20 < 20 }).toEqual({ complete: true, quiet: true });
  });

  test("see a newcomer and are seen by it at once; other namespaces stay apart; who leaves is forgotten", async () => {
    const segment = new Segment();
    segment.start("a");
    segment.start("z", "office");
    await segment.time.pass(10_000);
    segment.start("b");
    await segment.time.pass(100);
    const met = [segment.seenBy("a"), segment.seenBy("b"), segment.seenBy("z")];
    segment.nodes.get("b")?.stop();
    segment.nodes.delete("b");
    await segment.time.pass(100);
    expect({ met, left: segment.seenBy("a") }).toEqual({ met: [["b"], ["a"], []], left: [] });
  });

  test("T31 keep 64 strangers at most, however many shout", async () => {
    const segment = new Segment();
    segment.start("a");
    const stranger = { minor: 0, boot: new Uint8Array(16), name: "x", version: "1", port: 1, pairingPort: 0 };
    for (let i = 0; i < 5000; i++) {
      const node = new Uint8Array(32).fill(i % 251).fill(i >> 8, 16);
      const bytes = encodePresence({ ...stranger, node }, namespaceDigest("default"));
      segment.nodes.get("a")?.receive(bytes, { host: `10.0.${i >> 8}.${i & 255}`, port: 9 });
      await segment.time.pass(1);
    }
    expect(segment.seenBy("a").length).toBe(64);
  });

  test("see one that a router hides once either names the other, and go on seeing it", async () => {
    const segment = new Segment();
    segment.beyond.set("b", "behind a router");
    segment.start("a", "default", { elsewhere: [hostOf("b")] });
    segment.start("b");
    segment.start("c");
    await segment.time.pass(3000);
    const soon = ["a", "b", "c"].map((name) => segment.seenBy(name));
    await segment.time.pass(3_600_000);
    expect({ soon, later: ["a", "b", "c"].map((name) => segment.seenBy(name)) }).toEqual({
      soon: [["b", "c"], ["a"], ["a"]],
      later: [["b", "c"], ["a"], ["a"]],
    });
  });

  test("T4 answer an address that proved nothing with no more bytes than it sent", async () => {
    const segment = new Segment();
    segment.beyond.set("x", "anywhere");
    segment.start("a");
    await segment.time.pass(10_000);
    const stranger = { minor: 0, name: "x", version: "1", port: 1, pairingPort: 0 };
    let received = 0;
    for (let i = 0; i < 500; i++) {
      const node = new Uint8Array(32).fill(i % 251);
      const boot = new Uint8Array(16).fill(i % 7);
      const bytes = encodePresence({ ...stranger, node, boot }, namespaceDigest("default"));
      received += bytes.length;
      segment.nodes.get("a")?.receive(bytes, { host: hostOf("x"), port: 9 });
      await segment.time.pass(100);
    }
    expect({ answers: segment.sentBytes > 0, atMost: segment.sentBytes <= received }).toEqual({
      answers: true,
      atMost: true,
    });
  });

  test("are told of another machine with their identity, once", async () => {
    const segment = new Segment();
    segment.start("a");
    segment.start("a", "default", { boot: 1 });
    await segment.time.pass(120_000);
    expect(segment.copies).toEqual([hostOf("a"), hostOf("a")]);
  });

  test("shout once a second while a door is open, however often they announced something", async () => {
    const segment = new Segment();
    segment.pairingPort = 7;
    segment.start("a");
    await segment.time.pass(60_000);
    for (let count = 0; count < 5; count++) segment.nodes.get("a")?.announce();
    segment.bytes = 0;
    await segment.time.pass(30_000);
    const shouts = segment.bytes / 256;
    expect({ shouts, isOnceASecond: shouts >= 30 && shouts <= 32 }).toEqual({
      shouts,
      isOnceASecond: true,
    });
  });
});
