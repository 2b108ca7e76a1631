/**
 * Bytes that only one node can read: sealed to the Ed25519 key that the node has anyway, which is moved to Curve25519 for it.
 * Agreement, derivation and cipher are the system's X25519, HKDF and AES-GCM, in the order of RFC 9180: a fresh key pair for each
 * box, so that its cipher key is used once.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
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

/** `about` must be given again to open it. */
export interface Content {
  readonly bytes: Uint8Array;
  readonly about: string;
}

/** To a key that this machine has itself. */
export const sealedToSelf = ({ privateKey }: Pick<Identity, "privateKey">, content: Content): Uint8Array =>
  sealedFor(rawPublic(createPublicKey(secretOf(privateKey))), content);

/** `recipient`: a raw X25519 public key. */
export function sealedFor(recipient: Uint8Array, { bytes, about }: Content): Uint8Array {
  const own = generateKeyPairSync("x25519");
  const ephemeral = rawPublic(own.publicKey);
  const shared = diffieHellman({ privateKey: own.privateKey, publicKey: publicFrom(recipient) });
  const cipher = createCipheriv(ALGORITHM, keyFrom(shared, ephemeral, recipient), NONCE);
  cipher.setAAD(Buffer.from(about));
  return new Uint8Array(
    Buffer.concat([ephemeral, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]),
  );
}

/** Undefined: sealed to another key, about something else, or changed. */
export function openedBox(
  { privateKey }: Pick<Identity, "privateKey">,
  box: Uint8Array,
  about: string,
): Uint8Array | undefined {
  if (box.length < KEY_BYTES + TAG_BYTES) return undefined;
  const ephemeral = Buffer.from(box.subarray(0, KEY_BYTES));
  try {
    const secret = secretOf(privateKey);
    const shared = diffieHellman({ privateKey: secret, publicKey: publicFrom(ephemeral) });
    const key = keyFrom(shared, ephemeral, rawPublic(createPublicKey(secret)));
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

/** The scalar of an Ed25519 key is half of its seed's hash (RFC 8032, section 5.1.5), trimmed as X25519 trims any (RFC 7748, section 5). */
function secretOf(privateKey: KeyObject): KeyObject {
  const seed = privateKey.export({ type: "pkcs8", format: "der" }).subarray(-SEED_BYTES);
  const raw = createHash("sha512").update(seed).digest().subarray(0, KEY_BYTES);
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEADER, raw]), format: "der", type: "pkcs8" });
}
