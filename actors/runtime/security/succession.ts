/** A fresh key of a cluster: its certificate, and itself sealed to those that are to hold it. */
import type { ClusterId } from "#protocol/ids";
import { nameOf } from "./certificate.ts";
import type { Identity } from "./identity.ts";
import { type Steps, stepHere, valuesBy } from "./steps.ts";

export interface Succession {
  readonly cluster: ClusterId;
  /** Which of the cluster's keys it is. */
  readonly number: number;
  /** What the boxes are about. */
  readonly about: string;
  /** Raw Ed25519 keys, those first that come first. */
  readonly heirs: readonly Uint8Array[];
  /** So many of them get a box: in the place of one whose key cannot be sealed to comes the next. */
  readonly count: number;
}

export interface Succeeded {
  /** The certificate. */
  readonly pem: string;
  /** One for each heir, undefined where it gets none. */
  readonly boxes: readonly (Uint8Array | undefined)[];
}

/** Throws Problem. */
export async function succeeded(
  next: Pick<Identity, "pem">,
  { cluster, number, about, heirs, count }: Succession,
  steps: Steps = stepHere,
): Promise<Succeeded> {
  const keys = heirs.map((key) => Buffer.from(key).toString("hex"));
  const [pem = "", ...boxes] = await valuesBy(steps, "succeed", [
    next.pem,
    nameOf(cluster, number),
    about,
    String(count),
    ...keys,
  ]);
  return {
    pem,
    boxes: boxes.map((box) => (box === "" ? undefined : new Uint8Array(Buffer.from(box, "base64")))),
  };
}
