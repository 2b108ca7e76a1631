import { expect, test } from "bun:test";
import { Beacons } from "#actors/discovery/beacons";
import { type DiscoveryKey, encodeBeacon } from "#actors/discovery/datagram";
import { base32 } from "#actors/runtime/security/identity";
import type { NodeId } from "#protocol/ids";
import { VirtualTime } from "./time.ts";

const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill);
const keyed = (number: number): DiscoveryKey => ({ number, secret: bytes(32, number) });

/** One member on a wire of its own: what it shouts, and what it heard. */
function member(
  node: number,
  keys: () => readonly DiscoveryKey[],
  time: VirtualTime,
  isMember: (id: NodeId) => boolean = () => true,
) {
  const [shouted, heard]: [Uint8Array[], string[]] = [[], []];
  const clock = time.clock(() => 0.5);
  const beacons = new Beacons({
    datagrams: { shout: (datagram) => shouted.push(datagram), send: () => {} },
    elsewhere: () => [],
    linkedBoot: () => undefined,
    isMember,
    clock,
    keys,
    self: () => ({ minor: 0, node: bytes(32, node), boot: bytes(16, node), port: 52_000 + node }),
    heard: (_, { host, port }) => heard.push(`${host}:${port}`),
  });
  return { beacons, shouted, heard };
}

test("T3 a beacon leads to one dial; played again, in any order and from anywhere, to none", async () => {
  const time = new VirtualTime();
  const [a, b] = [member(1, () => [keyed(1)], time), member(2, () => [keyed(1)], time)];
  a.beacons.start();
  await time.pass(60_000);
  const recorded = [...a.shouted];
  for (const datagram of recorded) {
    b.beacons.receive(datagram, { host: "10.0.0.1", port: 9 });
    await time.pass(100);
  }
  const told = b.heard.length;
  for (const datagram of recorded.toReversed()) {
    b.beacons.receive(datagram, { host: "10.6.6.6", port: 9 });
    await time.pass(100);
  }
  expect({ all: told === recorded.length, after: b.heard.length - told, at: new Set(b.heard) }).toEqual({
    all: true,
    after: 0,
    at: new Set(["10.0.0.1:52001"]),
  });
});

test("a beacon counts with the key before the newest one as well, with an older one no more", async () => {
  const time = new VirtualTime();
  let keys = [keyed(1)];
  const [a, b] = [member(1, () => keys, time), member(2, () => [keyed(2), keyed(3)], time)];
  for (const number of [1, 2, 3]) {
    keys = [keyed(number)];
    a.beacons.stop();
  }
  const running = member(3, () => [keyed(2)], time);
  running.beacons.start();
  await time.pass(10);
  for (const datagram of [...a.shouted, ...running.shouted])
    b.beacons.receive(datagram, { host: "10.0.0.3", port: 9 });
  expect(b.heard).toEqual(["10.0.0.3:52003"]);
});

test("T31 a member that shouts for machines of its own invention takes no other's place", async () => {
  const time = new VirtualTime();
  const listed = base32(bytes(32, 1)) as NodeId;
  const [a, b] = [
    member(1, () => [keyed(1)], time),
    member(
      2,
      () => [keyed(1)],
      time,
      (id) => id === listed,
    ),
  ];
  for (let i = 0; i < 10_000; i++) {
    const node = new Uint8Array(32).fill(200);
    node[0] = i;
    node[1] = i >> 8;
    const invented = { minor: 0, node, boot: bytes(16, 7), counter: 1, port: 1, goodbye: false };
    b.beacons.receive(encodeBeacon(invented, keyed(1)), { host: "10.6.6.6", port: 9 });
  }
  a.beacons.start();
  await time.pass(1000);
  for (const datagram of a.shouted) b.beacons.receive(datagram, { host: "10.0.0.1", port: 9 });
  expect(new Set(b.heard)).toEqual(new Set(["10.0.0.1:52001"]));
});
