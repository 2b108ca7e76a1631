/** Bytes that only the two holders of one key can read, in order and each once, within one connection. */
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { ProtocolError } from "#protocol/message";

export interface Seal {
  seal(bytes: Uint8Array): Uint8Array;
  /** Throws ProtocolError: another key, another connection, changed, repeated or out of order. */
  open(sealed: Uint8Array): Uint8Array;
}

const ALGORITHM = "aes-256-gcm";
const KEY_BYTES = 32;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;

/**
 * Both ends give the same `key` and `binding` (what only the two ends of their connection share) and opposite sides. Each way has
 * a key of its own and counts its messages, so that no nonce is used twice (NIST SP 800-38D, section 8.2.1).
 */
export function sealOf(key: Uint8Array, binding: Uint8Array, side: "host" | "applicant"): Seal {
  const keyFrom = (sender: string) =>
    Buffer.from(hkdfSync("sha256", key, binding, `exo pairing 1 ${sender}`, KEY_BYTES));
  const [sending, receiving] = [keyFrom(side), keyFrom(side === "host" ? "applicant" : "host")];
  let [sent, received] = [0, 0];
  return {
    seal(bytes) {
      const cipher = createCipheriv(ALGORITHM, sending, nonce(sent++));
      return Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
    },
    open(sealed) {
      if (sealed.length < TAG_BYTES) throw new ProtocolError("a sealed message is too short");
      const decipher = createDecipheriv(ALGORITHM, receiving, nonce(received++));
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
      try {
        return Buffer.concat([
          decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES)),
          decipher.final(),
        ]);
      } catch {
        throw new ProtocolError(
          "a sealed message does not open: it was made for another connection or changed",
        );
      }
    },
  };
}

function nonce(count: number): Uint8Array {
  const bytes = Buffer.alloc(NONCE_BYTES);
  bytes.writeUIntBE(count, NONCE_BYTES - 6, 6);
  return bytes;
}
