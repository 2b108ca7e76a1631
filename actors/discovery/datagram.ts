/**
 * What nodes shout into their network. Presence is for strangers: anybody may send it, so it is only ever shown. A beacon is for
 * members: it proves the cluster's discovery key and is worth a connection. Both are msgpack arrays of fixed length:
 *   ["exo", 1, minor, namespace digest (8), node hash (32), boot (16), name, version, port, pairing port or 0, filling, 1 while a code is asked for there]
 *   ["exo", 2, minor, tag (8), node hash (32), boot (16), counter, port, heartbeat or 0], then 16 bytes of HMAC-SHA-256
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { Decoder, Encoder } from "@msgpack/msgpack";
import { plainName } from "#protocol/node";

/** Below every path's packet size, so that nothing is cut. */
export const DATAGRAM_BYTES_MAX = 512;
/** A presence has exactly this size: answering one never sends more than was received. */
const PRESENCE_BYTES = 256;
const NAME_MAX = 32;
const VERSION_MAX = 16;
const MAC_BYTES = 16;
const PORT_MAX = 65535;

/** A node nearby, of whatever cluster. `node` is the hash that its id spells. */
export interface Presence {
  readonly minor: number;
  readonly node: Uint8Array;
  readonly boot: Uint8Array;
  readonly name: string;
  readonly version: string;
  readonly port: number;
  /** Where machines that want in are answered now; 0: nowhere. */
  readonly pairingPort: number;
  /** One may come in there by a code. Absent: by the home's secret alone, or it is told why not. */
  readonly inviting?: true;
}

/** A member that proved the discovery key. `counter` only rises within one boot. */
export interface Beacon {
  readonly minor: number;
  readonly node: Uint8Array;
  readonly boot: Uint8Array;
  readonly counter: number;
  readonly port: number;
  /** It is leaving in order: nobody should miss it. */
  readonly goodbye: boolean;
}

/** What a cluster's members share: `number` rises with each rotation. */
export interface DiscoveryKey {
  readonly number: number;
  readonly secret: Uint8Array;
}

const encoder = new Encoder();
const decoder = new Decoder({
  maxStrLength: 64,
  maxBinLength: DATAGRAM_BYTES_MAX,
  maxArrayLength: 16,
  maxMapLength: 0,
  maxExtLength: 0,
});

/** Homes that share a network stay apart by their namespace's digest: 8 bytes of SHA-256. */
export const namespaceDigest = (namespace: string): Uint8Array =>
  new Uint8Array(createHash("sha256").update(`exo namespace ${namespace}`).digest().subarray(0, 8));

/** Which of a cluster's keys sealed a beacon, without saying which cluster it is to who has no key. */
export const keyTag = ({ number, secret }: DiscoveryKey): Uint8Array =>
  new Uint8Array(createHmac("sha256", secret).update(`exo beacon tag ${number}`).digest().subarray(0, 8));

export function encodePresence(presence: Presence, namespace: Uint8Array): Uint8Array {
  const { minor, node, boot, name, version, port, pairingPort, inviting } = presence;
  const more = inviting ? [1] : [];
  const facts = [
    "exo",
    1,
    minor,
    namespace,
    node,
    boot,
    plainName(name, NAME_MAX),
    plainName(version, VERSION_MAX),
    port,
    pairingPort,
  ];
  // Filling of n bytes costs 2 more up to 255.
  const bare = encoder.encode([...facts, new Uint8Array(0), ...more]).length;
  return encoder.encode([...facts, new Uint8Array(Math.max(0, PRESENCE_BYTES - bare)), ...more]);
}

/** Undefined for anything that is no presence of this namespace. */
export function decodePresence(bytes: Uint8Array, namespace: Uint8Array): Presence | undefined {
  if (bytes.length !== PRESENCE_BYTES) return undefined;
  const fields = decoded(bytes, 1, 11);
  if (!fields) return undefined;
  const [, , minor, digest, node, boot, name, version, port, pairingPort, , inviting] = fields;
  const right =
    isBytes(digest, 8) && Buffer.compare(digest, namespace) === 0 && isBytes(node, 32) && isBytes(boot, 16);
  if (!right || !isCount(minor, PORT_MAX) || !isCount(port, PORT_MAX) || !isCount(pairingPort, PORT_MAX))
    return undefined;
  if (!isPlain(name, NAME_MAX) || !isPlain(version, VERSION_MAX)) return undefined;
  const shown = { minor, node: node.slice(), boot: boot.slice(), name, version, port, pairingPort };
  return inviting === 1 ? { ...shown, inviting: true } : shown;
}

export function encodeBeacon(
  { minor, node, boot, counter, port, goodbye }: Beacon,
  key: DiscoveryKey,
): Uint8Array {
  const body = encoder.encode(["exo", 2, minor, keyTag(key), node, boot, counter, port, goodbye ? 1 : 0]);
  return Buffer.concat([body, mac(body, key)]);
}

/** The proof is checked before anything is built from the bytes; undefined for anything but a beacon of one of `keys`. */
export function decodeBeacon(bytes: Uint8Array, keys: readonly DiscoveryKey[]): Beacon | undefined {
  if (bytes.length > DATAGRAM_BYTES_MAX || bytes.length <= MAC_BYTES) return undefined;
  const body = bytes.subarray(0, bytes.length - MAC_BYTES);
  const proof = bytes.subarray(bytes.length - MAC_BYTES);
  // The newest first: nearly all are sealed with it.
  if (!keys.findLast((key) => timingSafeEqual(proof, mac(body, key)))) return undefined;
  const fields = decoded(body, 2, 9);
  if (!fields) return undefined;
  const [, , minor, , node, boot, counter, port, goodbye] = fields;
  if (!isBytes(node, 32) || !isBytes(boot, 16) || !isCount(minor, PORT_MAX) || !isCount(port, PORT_MAX))
    return undefined;
  if (!isCount(counter, Number.MAX_SAFE_INTEGER)) return undefined;
  return { minor, node: node.slice(), boot: boot.slice(), counter, port, goodbye: goodbye === 1 };
}

const mac = (body: Uint8Array, { secret }: DiscoveryKey): Uint8Array =>
  createHmac("sha256", secret).update(body).digest().subarray(0, MAC_BYTES);

function decoded(bytes: Uint8Array, kind: number, length: number): readonly unknown[] | undefined {
  try {
    const value = decoder.decode(bytes);
    return Array.isArray(value) && value[0] === "exo" && value[1] === kind && value.length >= length
      ? value
      : undefined;
  } catch {
    return undefined; // Noise from the network is no event.
  }
}

const isBytes = (value: unknown, length: number): value is Uint8Array =>
  value instanceof Uint8Array && value.length === length;
const isCount = (value: unknown, max: number): value is number =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) <= max;
/** Letters that can go to a terminal as they are. */
const isPlain = (value: unknown, max: number): value is string =>
  typeof value === "string" && [...value].length <= max && !/[\p{C}\p{Zl}\p{Zp}]/u.test(value);
