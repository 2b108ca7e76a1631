/** The key that a home's member lists and certificates are signed with, and how one follows another. */
import { verify, X509Certificate } from "node:crypto";
import { type Authority, SUCCESSIONS_MAX } from "#protocol/cluster";
import { keyOf } from "./certificate.ts";
import { type Identity, publicKeyOf, signBytes } from "./identity.ts";

/** Raw Ed25519 of an authority's certificate. Throws when it is none. */
export const authorityKey = (pem: string): Uint8Array => {
  const known = keys.get(pem);
  if (known) return known;
  const key = keyOf(new X509Certificate(pem));
  if (keys.size >= KEYS_MAX) keys.clear();
  keys.set(pem, key);
  return key;
};

/** Asked for each message of the log and each link. */
const keys = new Map<string, Uint8Array>();
const KEYS_MAX = 64;

/** The old key's word for the certificate that comes after its own. */
const statement = (number: number, pem: string): Uint8Array =>
  new TextEncoder().encode(`exo cluster key 1\n${number}\n${pem}`);

/** `pem` takes over from `before`, whose key is `oldKey`. */
export function successor(before: Authority, pem: string, oldKey: Pick<Identity, "privateKey">): Authority {
  const number = before.number + 1;
  const proof = signBytes(oldKey, statement(number, pem));
  return { number, pem, before: [...before.before, { pem: before.pem, proof }].slice(-SUCCESSIONS_MAX) };
}

/**
 * What `known` becomes by `next`: the same key, or one that came after it by an unbroken row of proofs. Undefined: it does not
 * follow. Of the keys before `known` nothing is taken from `next`, whose word for them nobody signed.
 */
export function followed(known: Authority, next: Authority): Authority | undefined {
  const steps = next.number - known.number;
  if (steps === 0) return next.pem === known.pem ? known : undefined;
  const row = next.before.slice(-steps);
  if (steps < 0 || row.length < steps || row[0]?.pem !== known.pem) return undefined;
  if (!isWhole({ ...next, before: row })) return undefined;
  return { number: next.number, pem: next.pem, before: [...known.before, ...row].slice(-SUCCESSIONS_MAX) };
}

/** The oldest that is known of the keys that led to this one. */
export function oldestOf({ number, pem, before }: Authority): Authority {
  return { number: number - before.length, pem: before[0]?.pem ?? pem, before: [] };
}

/** Whether each key before signed for the one after it. What is no certificate signed for nobody. */
export function isWhole({ number, pem: last, before }: Authority): boolean {
  const first = number - before.length;
  return before.every(({ pem, proof }, i) => {
    const next = before[i + 1]?.pem ?? last;
    return isRight(pem, next, proof, statement(first + i + 1, next));
  });
}

/** `next` must be a certificate as well: what is signed with it is read. */
function isRight(pem: string, next: string, proof: Uint8Array, said: Uint8Array): boolean {
  try {
    authorityKey(next);
    return verify(null, said, publicKeyOf(authorityKey(pem)), proof);
  } catch {
    return false; // What cannot be read proves nothing.
  }
}

/** Whether the authority's key signed the certificate. */
export function hasSigned(pem: string, certificate: X509Certificate): boolean {
  return certificate.verify(publicKeyOf(authorityKey(pem)));
}
