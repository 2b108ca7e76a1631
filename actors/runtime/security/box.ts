/**
 * Bytes that only one node can read: sealed to the Ed25519 key that the node has anyway. The key is moved to Curve25519 by
 * @noble/curves (the map of RFC 7748, section 4.1); agreement, derivation and cipher are the system's X25519, HKDF and AES-GCM, in
 * the order of RFC 9180: a fresh key pair for each box, so that its cipher key is used once.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import { ed25519 } from "@noble/curves/ed25519.js";
import type { Identity } from "./identity.ts";

const ALGORITHM = "aes-256-gcm";
const KEY_BYTES = 32;
const TAG_BYTES = 16;
/** Each cipher key seals one box, so that the nonce may be the same for all. */
const NONCE = Buffer.alloc(12);
/** DER headers before a raw X25519 key (RFC 8410, sections 4 and 7). */
const SPKI_HEADER = Buffer.from("302a300506032b656e032100", "hex");
const PKCS8_HEADER = Buffer.from("302e020100300506032b656e04220420", "hex");
/** An Ed25519 private key in PKCS #8 ends with its seed. */
const SEED_BYTES = 32;

/** Whether the bytes are a public key that has a private one: a machine may be let in that never shows it has any. */
export function canSealTo(publicKey: Uint8Array): boolean {
  try {
    return !ed25519.Point.fromBytes(publicKey).isSmallOrder();
  } catch {
    return false; // The library's errors tell no more.
  }
}

/** `to`: a raw Ed25519 public key. `about` must be given again to open it. */
export function sealedTo(to: Uint8Array, bytes: Uint8Array, about: string): Uint8Array {
  const own = generateKeyPairSync("x25519");
  const ephemeral = rawPublic(own.publicKey);
  const recipient = ed25519.utils.toMontgomery(to);
  const shared = diffieHellman({ privateKey: own.privateKey, publicKey: publicFrom(recipient) });
  const cipher = createCipheriv(ALGORITHM, keyFrom(shared, ephemeral, recipient), NONCE);
  cipher.setAAD(Buffer.from(about));
  return new Uint8Array(
    Buffer.concat([ephemeral, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]),
  );
}

/** Undefined: sealed to another key, about something else, or changed. */
export function openedBox(
  { privateKey, publicKey }: Pick<Identity, "privateKey" | "publicKey">,
  box: Uint8Array,
  about: string,
): Uint8Array | undefined {
  if (box.length < KEY_BYTES + TAG_BYTES) return undefined;
  const ephemeral = Buffer.from(box.subarray(0, KEY_BYTES));
  try {
    const shared = diffieHellman({ privateKey: secretOf(privateKey), publicKey: publicFrom(ephemeral) });
    const key = keyFrom(shared, ephemeral, ed25519.utils.toMontgomery(publicKey));
    const decipher = createDecipheriv(ALGORITHM, key, NONCE);
    decipher.setAAD(Buffer.from(about));
    decipher.setAuthTag(box.subarray(box.length - TAG_BYTES));
    const sealed = box.subarray(KEY_BYTES, box.length - TAG_BYTES);
    return new Uint8Array(Buffer.concat([decipher.update(sealed), decipher.final()]));
  } catch {
    return undefined; // OpenSSL's errors do not tell which of these it was.
  }
}

const keyFrom = (shared: Uint8Array, ephemeral: Uint8Array, recipient: Uint8Array): Buffer =>
  Buffer.from(hkdfSync("sha256", shared, Buffer.concat([ephemeral, recipient]), "exo box 1", KEY_BYTES));

const rawPublic = (key: KeyObject): Buffer =>
  Buffer.from(key.export({ type: "spki", format: "der" }).subarray(SPKI_HEADER.length));

const publicFrom = (raw: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([SPKI_HEADER, raw]), format: "der", type: "spki" });

function secretOf(privateKey: KeyObject): KeyObject {
  const seed = privateKey.export({ type: "pkcs8", format: "der" }).subarray(-SEED_BYTES);
  const raw = ed25519.utils.toMontgomerySecret(seed);
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEADER, raw]), format: "der", type: "pkcs8" });
}
