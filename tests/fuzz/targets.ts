/** Every parser that reads what another machine sent, each with bytes that it takes and what it may answer. */
import { createHmac } from "node:crypto";
import {
  decodeBeacon,
  decodePresence,
  encodeBeacon,
  encodePresence,
  namespaceDigest,
} from "#actors/discovery/datagram";
import type { Persisted, RaftStore } from "#actors/runtime/raft/log";
import { Raft } from "#actors/runtime/raft/raft";
import { freshIdentity } from "#actors/runtime/security/identity";
import { FrameKind, FrameReader, frame } from "#actors/runtime/transport/framing";
import { firstSnapshot, freshCluster, freshDiscoveryKey } from "#actors/supervisor/cluster/genesis";
import { authorityOf } from "#actors/supervisor/cluster/record";
import { applied, decodeState, encodeCommand } from "#actors/supervisor/cluster/state";
import { decode } from "#protocol/codec";
import { decodeHello } from "#protocol/hello";
import type { NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import { decodeNotice, encodeNotice } from "#protocol/notice";
import { Problem } from "#protocol/problem";
import type { RaftMessage } from "#protocol/raft";
import { spoken } from "../protocol/spoken.ts";
import { seeded } from "../sim/random.ts";
import { VirtualTime } from "../sim/time.ts";

export interface Target {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  /** Whether it took the bytes; throws only for a bug. */
  readonly takes: (bytes: Uint8Array) => boolean;
}

const FRAME_LIMIT = 64 * 1024;
const bytesOf = (hex: string): Uint8Array => Uint8Array.fromHex(hex);

/** Refusals are ProtocolErrors, those of the home's changes Problems; anything else goes on as a bug. */
function taken(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof Problem) return false;
    throw error;
  }
}

function frames(seeds: readonly Uint8Array[]): Target {
  return {
    name: "frame reader",
    seeds: seeds.map((seed) => frame(FrameKind.envelope, seed)),
    takes: (bytes) =>
      taken(() => {
        let payloads = 0;
        const reader = new FrameReader(FRAME_LIMIT, (_, held, from, to) => {
          if (from < 0 || to < from || to > held.length) throw new Error("a payload beside what came");
          payloads += to - from;
        });
        // In two pieces, as streams come.
        const half = bytes.length >> 1;
        reader.push(bytes.subarray(0, half));
        reader.push(bytes.subarray(half));
        if (payloads > bytes.length) throw new Error("more payload than bytes");
      }),
  };
}

const KEY = { number: 1, secret: new Uint8Array(32).fill(9) };
const NAMESPACE = namespaceDigest("default");
const node = new Uint8Array(32).fill(3);
const boot = new Uint8Array(16).fill(4);

const presence: Target = {
  name: "presence datagram",
  seeds: [
    encodePresence(
      { minor: 0, node, boot, name: "kitchen", version: "1.0", port: 5, pairingPort: 0 },
      NAMESPACE,
    ),
    encodePresence(
      { minor: 9, node, boot, name: "é世", version: "", port: 65535, pairingPort: 7 },
      NAMESPACE,
    ),
  ],
  // Half of them with the size of a presence, as all others are refused for theirs.
  takes(bytes) {
    const sized = new Uint8Array(256);
    sized.set(bytes.subarray(0, 256));
    return decodePresence(bytes.length % 2 ? bytes : sized, NAMESPACE) !== undefined;
  },
};

/** With a right proof, as a member would send it: without one nothing is read. */
const beacon: Target = {
  name: "beacon datagram",
  seeds: [encodeBeacon({ minor: 0, node, boot, counter: 77, port: 5, goodbye: false }, KEY).subarray(0, -16)],
  takes(bytes) {
    const proof = createHmac("sha256", KEY.secret).update(bytes).digest().subarray(0, 16);
    decodeBeacon(bytes, [KEY]);
    return decodeBeacon(Buffer.concat([bytes, proof]), [KEY]) !== undefined;
  },
};

/** As a machine of a home in which the key changed hears it: what it says is checked by who holds the list, and nothing here falls over it. */
async function notices(): Promise<readonly Target[]> {
  const me = freshIdentity();
  const record = await freshCluster(me, "kitchen", 5);
  const authority = authorityOf(record);
  const start = decodeState(firstSnapshot(record, me).state, authority);
  const proof = new Uint8Array(64);
  const { members: list, nodePem } = record;
  return [
    {
      name: "notice",
      seeds: [
        encodeNotice({ authority, list }),
        encodeNotice({
          authority: { ...authority, before: [{ pem: authority.pem, proof }] },
          list,
          certificate: nodePem,
        }),
      ],
      takes: (bytes) => taken(() => decodeNotice(bytes)),
    },
    {
      name: "change of the home",
      seeds: [
        encodeCommand({ type: "set", name: "a", value: "é世" }),
        encodeCommand({ type: "list", list }),
        encodeCommand({ type: "rotate", key: freshDiscoveryKey(2) }),
      ],
      takes: (bytes) => taken(() => applied(start, bytes)),
    },
  ];
}

class NoStore implements RaftStore {
  load(): Persisted {
    const voters = ["a", "b", "c"] as NodeId[];
    return {
      term: 1,
      entries: [],
      snapshot: { index: 0, term: 0, config: { voters, learners: [] }, state: new Uint8Array() },
    };
  }
  saveVote(): void {}
  write(): void {}
  compact(): void {}
}

/** What is understood is also told to a node, which may think what it likes of it but not fall over. */
function raft(seeds: readonly Uint8Array[]): Target {
  const clock = new VirtualTime().clock(seeded(1));
  let told = 0;
  const fresh = () =>
    new Raft("a" as NodeId, {
      clock,
      random: () => 0.5,
      store: new NoStore(),
      send: () => {},
      changed: () => {},
      state: { apply: () => {}, snapshot: () => new Uint8Array(), restore: () => {} },
    });
  let voter = fresh();
  return {
    name: "raft messages",
    seeds,
    takes: (bytes) =>
      taken(() => {
        const { message } = decode(bytes);
        if (!message.type.startsWith("Raft.")) return;
        if (++told % 64 === 0) voter = fresh();
        voter.receive("b" as NodeId, message as RaftMessage);
      }),
  };
}

export async function targets(): Promise<readonly Target[]> {
  const golden = await spoken();
  const seedsOf = (wanted: (name: string) => boolean) =>
    Object.entries(golden).flatMap(([name, lines]) => (wanted(name) ? lines.map(bytesOf) : []));
  const envelopes = seedsOf((name) => name !== "hello");
  return [
    frames(envelopes),
    {
      name: "hello",
      seeds: seedsOf((name) => name === "hello"),
      takes: (bytes) => taken(() => decodeHello(bytes)),
    },
    { name: "envelope", seeds: envelopes, takes: (bytes) => taken(() => decode(bytes)) },
    presence,
    beacon,
    raft(seedsOf((name) => name.startsWith("Raft."))),
    ...(await notices()),
  ];
}
