/**
 * Certificates as @peculiar/x509 makes them. With what it needs it takes 15 MB of a process for good, for something that a machine
 * does when it starts for the first time and when others come.
 */
import { randomBytes } from "node:crypto";
import { type Identity, identityFromPem } from "./identity.ts";
import type { StepsOf } from "./steps.ts";

export type CertificateStep = "found" | "certifyCluster" | "certifyNode" | "certifyOnce" | "certifyServer";

const ED25519 = { name: "Ed25519" };
const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** The clock of a machine whose battery is empty begins here. */
const NOT_BEFORE = new Date("1970-01-01T00:00:00Z");
const NOT_AFTER = new Date("2120-01-01T00:00:00Z");

export interface NodeNamed {
  /** Its id. */
  readonly node: string;
  /** Its name in TLS. */
  readonly serverName: string;
  /** Raw Ed25519 in hex. */
  readonly publicKey: string;
}

/** What a server's certificate says; `from` and `until` in seconds since 1970. */
export interface ServerNamed {
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  readonly from: number;
  readonly until: number;
}

/** It wants `reflect-metadata` before it, an order that a bundle does not keep for static imports. */
export async function certificates() {
  await import("reflect-metadata");
  return await import("@peculiar/x509");
}

/** Keys and certificates in PEM, what is named in JSON. */
export const certificateSteps: StepsOf<CertificateStep> = {
  async found([clusterKey = "", name = "", named = ""]) {
    const key = identityFromPem(clusterKey);
    const cluster = await ofCluster(key, name);
    return { values: [cluster, await ofNode(JSON.parse(named), key, cluster)] };
  },
  certifyCluster: async ([key = "", name = ""]) => ({
    values: [await ofCluster(identityFromPem(key), name)],
  }),
  certifyNode: async ([clusterKey = "", cluster = "", named = ""]) => ({
    values: [await ofNode(JSON.parse(named), identityFromPem(clusterKey), cluster)],
  }),
  certifyOnce: async ([key = ""]) => ({ values: [await forOnce(identityFromPem(key))] }),
  certifyServer: async ([named = ""]) => ({ values: await ofServer(JSON.parse(named)) }),
};

async function ofCluster(key: Identity, name: string): Promise<string> {
  const x509 = await certificates();
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${name}`,
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    keys: await webKeys(key),
    signingAlgorithm: ED25519,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return made.toString("pem");
}

async function ofNode(named: NodeNamed, clusterKey: Identity, clusterPem: string): Promise<string> {
  const x509 = await certificates();
  const { privateKey } = await webKeys(clusterKey);
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${named.node}`,
    issuer: new x509.X509Certificate(clusterPem).subject,
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    signingKey: privateKey,
    publicKey: await webPublicKey(Buffer.from(named.publicKey, "hex")),
    signingAlgorithm: ED25519,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: named.serverName }]),
    ],
  });
  return made.toString("pem");
}

async function forOnce(key: Identity): Promise<string> {
  const x509 = await certificates();
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: "CN=exo pairing",
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    keys: await webKeys(key),
    signingAlgorithm: ED25519,
    extensions: [new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true)],
  });
  return made.toString("pem");
}

/** The certificate and its key, of a kind that browsers take. */
async function ofServer({ names, addresses, from, until }: ServerNamed): Promise<readonly string[]> {
  const x509 = await certificates();
  const keys = await crypto.subtle.generateKey(P256, true, ["sign", "verify"]);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=exo on ${names[0] ?? "this machine"}`,
    notBefore: new Date(from * 1000),
    notAfter: new Date(until * 1000),
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
  return [made.toString("pem"), x509.PemConverter.encode(der, "PRIVATE KEY")];
}

/** https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.12 */
const SERVER_AUTHENTICATION = "1.3.6.1.5.5.7.3.1";

const serialNumber = (): string => randomBytes(16).toString("hex");

async function webKeys({ privateKey, publicKey }: Identity): Promise<CryptoKeyPair> {
  const der = privateKey.export({ type: "pkcs8", format: "der" });
  return {
    privateKey: await crypto.subtle.importKey("pkcs8", der, ED25519, false, ["sign"]),
    publicKey: await webPublicKey(publicKey),
  };
}

const webPublicKey = (raw: Uint8Array): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", Uint8Array.from(raw), ED25519, true, ["verify"]);
