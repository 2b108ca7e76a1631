import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import {
  type Beacon,
  decodeBeacon,
  decodePresence,
  encodeBeacon,
  encodePresence,
  namespaceDigest,
  type Presence,
} from "./datagram.ts";

const home = namespaceDigest("default");
const presence: Presence = {
  minor: 0,
  node: new Uint8Array(32).fill(7),
  boot: new Uint8Array(16).fill(8),
  name: "studio",
  version: "0.1.0",
  port: 52416,
  pairingPort: 0,
};
const beacon: Beacon = {
  minor: 0,
  node: presence.node,
  boot: presence.boot,
  counter: 5,
  port: 52416,
  goodbye: false,
};
const [key, next, foreign] = [1, 2, 1].map((number) => ({
  number,
  secret: new Uint8Array(randomBytes(32)),
})) as [Key, Key, Key];
type Key = { readonly number: number; readonly secret: Uint8Array };

describe("a presence", () => {
  test("comes back as it was sent, always of one size, and only in its namespace", () => {
    const long = {
      ...presence,
      name: "ein sehr langer Name, länger als zweiunddreißig Zeichen",
      version: "10.20.30-beta.1+build",
    };
    const sizes = [presence, long, { ...presence, name: "" }].map(
      (each) => encodePresence(each, home).length,
    );
    expect({
      same: decodePresence(encodePresence(presence, home), home),
      inviting: decodePresence(encodePresence({ ...presence, inviting: true }, home), home),
      cut: decodePresence(encodePresence(long, home), home)?.name,
      other: decodePresence(encodePresence(presence, home), namespaceDigest("office")),
      sizes,
    }).toEqual({
      same: presence,
      inviting: { ...presence, inviting: true },
      cut: "ein sehr langer Name, länger als",
      other: undefined,
      sizes: [256, 256, 256],
    });
  });

  test("T47 never carries what a terminal would obey", () => {
    const shown = decodePresence(encodePresence({ ...presence, name: "a\u001b[2Jb\u202ec" }, home), home);
    expect(shown?.name).toBe("a [2Jb c");
  });
});

describe("a beacon", () => {
  test("is believed with one of the cluster's keys, and with no other", () => {
    const sent = encodeBeacon(beacon, key);
    expect({
      now: decodeBeacon(sent, [next, key]),
      stranger: decodeBeacon(sent, [foreign]),
      none: decodeBeacon(sent, []),
    }).toEqual({
      now: beacon,
      stranger: undefined,
      none: undefined,
    });
  });
});

test("T2 random, cut and changed datagrams are passed over without a throw", () => {
  const models = [encodePresence(presence, home), encodeBeacon(beacon, key)];
  const believed: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    const model = models[i % 2] as Uint8Array;
    const bytes =
      i % 5 === 0
        ? new Uint8Array(randomBytes(i % 600))
        : model.slice(0, i % 3 === 0 ? i % model.length : model.length);
    if (bytes.length > 0) bytes[i % bytes.length] = (bytes[i % bytes.length] ?? 0) ^ (1 << (i % 8));
    if (decodeBeacon(bytes, [key])) believed.push(i);
    decodePresence(bytes, home);
  }
  expect(believed).toEqual([]);
});
