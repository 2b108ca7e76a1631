/**
 * Hostile datagrams against what listens (reliability.md T2, T3): random, cut, changed, of a foreign key, of no key, recorded and
 * played again; from as many addresses as there are. Nothing of it may lead to a dial, and memory stays as it was.
 */
import { Beacons } from "#actors/discovery/beacons";
import { type DiscoveryKey, encodeBeacon, encodePresence, namespaceDigest } from "#actors/discovery/datagram";
import { Nearby } from "#actors/discovery/nearby";
import type { NodeId } from "#protocol/ids";
import { seeded } from "../sim/random.ts";
import { VirtualTime } from "../sim/time.ts";

export interface DatagramFindings {
  /** Addresses of members that were believed from what was no fresh beacon of this home. */
  readonly dials: number;
  readonly strangers: number;
  readonly heapGrowthBytes: number;
  readonly bytesToUnproven: number;
  readonly bytesReceived: number;
  readonly microsecondsEach: number;
}

const home = namespaceDigest("default");
const PORT = 52_416;
/** As fast as the sources' limits let it matter. */
const PER_MS = 50;

export async function fuzzDatagrams(count: number, seed: number): Promise<DatagramFindings> {
  const random = seeded(seed);
  const whole = (below: number) => Math.floor(random() * below);
  const bytes = (length: number) => Uint8Array.from({ length }, () => whole(256));
  const [key, foreign] = [1, 1].map((number): DiscoveryKey => ({ number, secret: bytes(32) }));
  if (!key || !foreign) throw new Error("two keys");
  const world = listening(key);
  const model = () => {
    const node = bytes(32);
    const beacon = {
      minor: 0,
      node,
      boot: bytes(16),
      counter: whole(1000),
      port: PORT,
      goodbye: random() < 0.1,
    };
    const presence = { ...beacon, name: "x", version: "1", pairingPort: 0 };
    return [
      () => bytes(whole(600)),
      () => encodePresence(presence, home),
      () => encodeBeacon(beacon, foreign),
      () => changed(encodeBeacon(beacon, key), whole),
      () => changed(encodePresence(presence, home), whole),
      () => cut(encodeBeacon(beacon, key), whole),
    ][whole(6)] as () => Uint8Array;
  };
  let received = 0;
  // The first part fills tables and compiles code; growth is counted after it.
  const warm = Math.floor(count / 5);
  let before = 0;
  let startMs = 0;
  for (let i = 0; i < count; i++) {
    if (i === warm) {
      Bun.gc(true);
      before = process.memoryUsage().heapUsed;
      startMs = performance.now();
    }
    const datagram = model()();
    received += datagram.length;
    world.receive(datagram, `10.${whole(4)}.${whole(256)}.${whole(256)}`);
    if (i % PER_MS === 0) await world.time.pass(1);
  }
  const microsecondsEach = ((performance.now() - startMs) * 1000) / (count - warm);
  Bun.gc(true);
  return {
    dials: world.dials.length,
    strangers: world.nearby.neighbours.length,
    heapGrowthBytes: process.memoryUsage().heapUsed - before,
    bytesToUnproven: world.sent(),
    bytesReceived: received,
    microsecondsEach,
  };
}

const cut = (datagram: Uint8Array, whole: (below: number) => number) =>
  datagram.subarray(0, whole(datagram.length));

/** One bit is another. */
function changed(datagram: Uint8Array, whole: (below: number) => number): Uint8Array {
  const bytes = datagram.slice(0, datagram.length);
  const at = whole(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << whole(8));
  return bytes;
}

/** A node's ears: everything is behind a router, so that it would answer each. */
export function listening(key: DiscoveryKey, linked: ReadonlyMap<string, string> = new Map()) {
  const time = new VirtualTime();
  const clock = time.clock(seeded(1));
  let sent = 0;
  const dials: string[] = [];
  const self = {
    minor: 0,
    node: new Uint8Array(32).fill(1),
    boot: new Uint8Array(16).fill(1),
    name: "self",
    version: "1",
    port: PORT,
    pairingPort: 0,
  };
  const datagrams = {
    shout: () => {},
    send: (bytes: Uint8Array) => {
      sent += bytes.length;
    },
  };
  const nearby = new Nearby({
    datagrams,
    clock,
    namespace: home,
    presence: () => self,
    elsewhere: () => [],
    isNear: () => false,
    copied: () => {},
    changed: () => {},
  });
  const beacons = new Beacons({
    datagrams,
    clock,
    keys: () => [key],
    self: () => self,
    elsewhere: () => [],
    isMember: () => true,
    linkedBoot: (node: NodeId) => linked.get(node),
    heard: (node, { host, port }) => dials.push(`${node} at ${host}:${port}`),
  });
  return {
    time,
    nearby,
    dials,
    sent: () => sent,
    receive(bytes: Uint8Array, host: string) {
      nearby.receive(bytes, { host, port: 9 });
      beacons.receive(bytes, { host, port: 9 });
    },
  };
}
