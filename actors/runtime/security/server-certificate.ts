/** A certificate by which clients know a server of this machine: of a kind that browsers take, and good for nothing else. */
import { randomBytes } from "node:crypto";
import { certificates } from "./certificate.ts";

const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** Clocks differ. */
const EARLY_SECONDS = 86_400;
/** Longer ones are refused by Apple's systems: https://support.apple.com/en-us/103769 */
export const SERVER_CERTIFICATE_SECONDS = 800 * 86_400;

export interface ServerCertificate {
  readonly certificate: string;
  /** PKCS #8. */
  readonly key: string;
}

/** Signed by itself: who trusts it trusts this server, and nobody else whom its key could sign for. Both in PEM. */
export async function serverCertificate(
  { names, addresses }: { readonly names: readonly string[]; readonly addresses: readonly string[] },
  nowSeconds: number,
): Promise<ServerCertificate> {
  const x509 = await certificates();
  const keys = await crypto.subtle.generateKey(P256, true, ["sign", "verify"]);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(16).toString("hex"),
    name: `CN=exo on ${names[0] ?? "this machine"}`,
    notBefore: new Date((nowSeconds - EARLY_SECONDS) * 1000),
    notAfter: new Date((nowSeconds + SERVER_CERTIFICATE_SECONDS) * 1000),
    keys,
    signingAlgorithm: P256,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([SERVER_AUTHENTICATION]),
      new x509.SubjectAlternativeNameExtension([
        ...names.map((value) => ({ type: "dns", value }) as const),
        ...addresses.map((value) => ({ type: "ip", value }) as const),
      ]),
    ],
  });
  const der = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { certificate: made.toString("pem"), key: x509.PemConverter.encode(der, "PRIVATE KEY") };
}

/** https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.12 */
const SERVER_AUTHENTICATION = "1.3.6.1.5.5.7.3.1";
