/** Boxes for other machines: only for these a key of somebody else has to be moved to Curve25519. */
import type { Content } from "./box.ts";
import { type Steps, stepHere } from "./steps.ts";

/** `to`: a member's raw Ed25519 key. Undefined where that has no private part: a machine may be let in that never shows it has any. Throws Problem. */
export async function sealedTo(
  to: Uint8Array,
  { bytes, about }: Content,
  steps: Steps = stepHere,
): Promise<Uint8Array | undefined> {
  const words = [Buffer.from(to).toString("hex"), Buffer.from(bytes).toString("base64"), about];
  const done = await steps("seal", words);
  const [box] = ("values" in done && done.values) || [];
  return box === undefined ? undefined : new Uint8Array(Buffer.from(box, "base64"));
}
