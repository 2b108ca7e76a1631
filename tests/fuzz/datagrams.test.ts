import { describe, expect, test } from "bun:test";
import { type DiscoveryKey, encodeBeacon } from "#actors/discovery/datagram";
import { base32 } from "#actors/runtime/security/identity";
import { seeded } from "../sim/random.ts";
import { fuzzDatagrams, listening } from "./datagrams.ts";

const GROWTH_BYTES_MAX = 2 * 1024 * 1024;

test("T2 ten thousand hostile datagrams lead to no dial, and memory stays (a million: bun run fuzz)", async () => {
  const { dials, strangers, heapGrowthBytes, bytesToUnproven, bytesReceived } = await fuzzDatagrams(
    10_000,
    7,
  );
  expect({
    dials,
    strangersAreFew: strangers <= 64,
    memoryStays: heapGrowthBytes < GROWTH_BYTES_MAX,
    saysLessThanItHears: bytesToUnproven <= bytesReceived,
  }).toEqual({ dials: 0, strangersAreFew: true, memoryStays: true, saysLessThanItHears: true });
});

const key: DiscoveryKey = { number: 1, secret: new Uint8Array(32).fill(3) };
const next: DiscoveryKey = { number: 2, secret: new Uint8Array(32).fill(4) };
const node = new Uint8Array(32).fill(9);
const boot = (number: number) => new Uint8Array(16).fill(number);

/** An hour of a member's beacons, through two starts of it. */
const hour = Array.from({ length: 1800 }, (_, i) =>
  encodeBeacon(
    { minor: 0, node, boot: boot(i < 900 ? 1 : 2), counter: (i % 900) + 1, port: 52_416, goodbye: false },
    key,
  ),
);

describe("T3 an hour of beacons that is played again", () => {
  const order = seeded(5);
  const plays = {
    "in order": hour,
    shuffled: hour.toSorted(() => order() - 0.5),
    backwards: hour.toReversed(),
  };
  for (const [how, recording] of Object.entries(plays))
    test(`${how} changes nothing for a member that is linked, also a day later`, async () => {
      const world = listening(key, new Map([[base32(node), "02".repeat(16)]]));
      for (const bytes of hour) {
        world.receive(bytes, "10.0.0.9");
        await world.time.pass(2000);
      }
      await world.time.pass(24 * 3_600_000);
      for (const bytes of recording) {
        world.receive(bytes, "10.66.66.66");
        await world.time.pass(100);
      }
      expect(world.dials).toEqual([]);
    });

  test("teaches nothing of a member that is lost, as far as it is of its last start", async () => {
    const world = listening(key);
    for (const bytes of hour) {
      world.receive(bytes, "10.0.0.9");
      await world.time.pass(2000);
    }
    const heard = world.dials.length;
    for (const bytes of hour.slice(900)) {
      world.receive(bytes, "10.66.66.66");
      await world.time.pass(100);
    }
    expect([heard, world.dials.length]).toEqual([1800, 1800]);
  });
});

test("a beacon of the key before the last is understood, one of an unknown key is not", () => {
  const world = listening(next);
  const beacon = { minor: 0, node, boot: boot(1), counter: 1, port: 52_416, goodbye: false };
  world.receive(encodeBeacon(beacon, key), "10.0.0.9");
  const before = [...world.dials];
  world.receive(encodeBeacon(beacon, next), "10.0.0.9");
  expect([before, world.dials]).toEqual([[], [`${base32(node)} at 10.0.0.9:52416`]]);
});
