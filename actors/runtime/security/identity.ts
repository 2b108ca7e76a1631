/** A machine's key, and the id that follows from it. Nobody else has the private part; it leaves neither disk nor process. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";

export interface Identity {
  readonly node: NodeId;
  /** The raw Ed25519 public key, 32 bytes (RFC 8032). */
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
  /** PKCS #8 in PEM, for the disk and for TLS. */
  readonly pem: string;
}

/** Bytes of the DER header before a raw Ed25519 key in SubjectPublicKeyInfo (RFC 8410, section 4). */
const SPKI_HEADER = Buffer.from("302a300506032b6570032100", "hex");
const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";

export function freshIdentity(): Identity {
  return identityOf(generateKeyPairSync("ed25519").privateKey);
}

/** Reads a key as `Identity.pem` has it; throws a Problem when it is no Ed25519 key. */
export function identityFromPem(pem: string): Identity {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new Problem("invalid", "the node key cannot be read: it is damaged or no private key");
  }
  if (key.asymmetricKeyType !== "ed25519") {
    throw new Problem("invalid", `the node key is of type ${key.asymmetricKeyType}, not ed25519`);
  }
  return identityOf(key);
}

function identityOf(privateKey: KeyObject): Identity {
  const publicKey = rawKey(createPublicKey(privateKey));
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { node: nodeIdOf(publicKey), publicKey, privateKey, pem };
}

/** SHA-256 of a raw public key: what an id spells. */
export const hashOf = (publicKey: Uint8Array): Uint8Array =>
  new Uint8Array(createHash("sha256").update(publicKey).digest());

/** The hash in lower-case base32. */
export const nodeIdOf = (publicKey: Uint8Array): NodeId => base32(hashOf(publicKey)) as NodeId;

/** The 32 bytes of an Ed25519 public key. */
export function rawKey(publicKey: KeyObject): Uint8Array {
  return new Uint8Array(publicKey.export({ type: "spki", format: "der" }).subarray(SPKI_HEADER.length));
}

export function publicKeyOf(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_HEADER, raw]), format: "der", type: "spki" });
}

/** Ed25519 over the bytes, 64 bytes. */
export function signBytes({ privateKey }: Pick<Identity, "privateKey">, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, bytes, privateKey));
}

/** Base32 of RFC 4648 in lower case and without padding. */
export function base32(bytes: Uint8Array): string {
  let text = "";
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += LETTERS[(held >> (bits - 5)) & 31];
  }
  return bits > 0 ? text + LETTERS[(held << (5 - bits)) & 31] : text;
}
