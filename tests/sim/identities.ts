/** Identities that a seed decides. */
import { type Identity, identityFromPem } from "#actors/runtime/security/identity";

/** The header of an Ed25519 private key in PKCS #8 (RFC 8410, section 7). */
const PKCS8_HEADER = Buffer.from("302e020100300506032b657004220420", "hex");

/** One seed, one identity: ids decide ties, so that they belong to the history. */
export function seededIdentity(random: () => number): Identity {
  const seed = Buffer.from(Array.from({ length: 32 }, () => Math.floor(random() * 256)));
  const der = Buffer.concat([PKCS8_HEADER, seed]).toString("base64");
  return identityFromPem(`-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`);
}
