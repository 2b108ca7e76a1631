/** Machines of one network that shout at each other, on virtual time. */
import { describe, expect, test } from "bun:test";
import { encodePresence, namespaceDigest } from "#actors/discovery/datagram";
import { Nearby } from "#actors/discovery/nearby";
import { seeded } from "./random.ts";
import { VirtualTime } from "./time.ts";

class Segment {
  readonly time = new VirtualTime();
  readonly nodes = new Map<string, Nearby>();
  bytes = 0;
  pairingPort = 0;

  start(name: string, namespace = "default"): void {
    const clock = this.time.clock(seeded(1));
    const nearby = new Nearby({
      clock,
      namespace: namespaceDigest(namespace),
      presence: () => ({
        minor: 0,
        node: new Uint8Array(32).fill(name.charCodeAt(0)),
        boot: new Uint8Array(16),
        name,
        version: "1",
        port: 1,
        pairingPort: this.pairingPort,
      }),
      datagrams: {
        shout: (bytes) => {
          this.bytes += bytes.length;
          for (const other of this.nodes.values())
            this.time.after(1, () => other.receive(bytes, { host: `10.0.0.${name}`, port: 9 }));
        },
      },
      changed: () => {},
    });
    this.nodes.set(name, nearby);
    nearby.start();
  }

  seenBy(name: string): string[] {
    return (this.nodes.get(name)?.neighbours ?? []).map((each) => each.name).sort();
  }
}

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
});
