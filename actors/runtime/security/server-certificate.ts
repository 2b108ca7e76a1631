/** A certificate by which clients know a server of this machine: of a kind that browsers take, and good for nothing else. */
import type { ServerNamed } from "./certificate-steps.ts";
import { type Steps, stepHere, valuesBy } from "./steps.ts";

/** Clocks differ. */
const EARLY_SECONDS = 86_400;
/** Longer ones are refused by Apple's systems: https://support.apple.com/en-us/103769 */
export const SERVER_CERTIFICATE_SECONDS = 800 * 86_400;

export interface ServerCertificate {
  readonly certificate: string;
  /** PKCS #8. */
  readonly key: string;
}

/** Signed by itself: who trusts it trusts this server, and nobody else whom its key could sign for. Both in PEM. Throws Problem. */
export async function serverCertificate(
  of: Pick<ServerNamed, "names" | "addresses">,
  nowSeconds: number,
  steps: Steps = stepHere,
): Promise<ServerCertificate> {
  const named: ServerNamed = {
    ...of,
    from: nowSeconds - EARLY_SECONDS,
    until: nowSeconds + SERVER_CERTIFICATE_SECONDS,
  };
  const [certificate = "", key = ""] = await valuesBy(steps, "certifyServer", [JSON.stringify(named)]);
  return { certificate, key };
}
