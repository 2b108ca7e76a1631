/** Sealing to another's Ed25519 key: @noble/curves, some 5 MB, moves it to Curve25519 (the map of RFC 7748, section 4.1). */
import { ed25519 } from "@noble/curves/ed25519.js";
import { sealedFor } from "./box.ts";
import type { StepsOf } from "./steps.ts";

export type BoxStep = "seal";

/** The key in hex, the content in base64 as the box is. */
export const boxSteps: StepsOf<BoxStep> = {
  seal([to = "", content = "", about = ""]) {
    const key = Uint8Array.from(Buffer.from(to, "hex"));
    if (!isKey(key)) return {};
    const box = sealedFor(ed25519.utils.toMontgomery(key), { bytes: Buffer.from(content, "base64"), about });
    return { values: [Buffer.from(box).toString("base64")] };
  },
};

/** Whether the bytes are a public key that has a private one. */
function isKey(bytes: Uint8Array): boolean {
  try {
    return !ed25519.Point.fromBytes(bytes).isSmallOrder();
  } catch {
    return false; // The library's errors tell no more.
  }
}
