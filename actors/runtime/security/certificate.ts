/**
 * Certificates that let TLS prove keys: the cluster's own, and one for each node. They say nothing of membership, which is the
 * signed list's, and run out too late to matter, so that a machine with a dead clock still works.
 */
import { randomBytes, type X509Certificate } from "node:crypto";
import type { ClusterId, NodeId } from "#protocol/ids";
import { type Identity, rawKey } from "./identity.ts";

const ED25519 = { name: "Ed25519" };
/** The clock of a machine whose battery is empty begins here. */
const NOT_BEFORE = new Date("1970-01-01T00:00:00Z");
const NOT_AFTER = new Date("2120-01-01T00:00:00Z");

/**
 * Certificates are made at the first start and when machines pair: at other times the package, which is large, is not loaded. It
 * wants `reflect-metadata` before it, an order that a bundle does not keep for static imports.
 */
export async function certificates() {
  await import("reflect-metadata");
  return await import("@peculiar/x509");
}

/** Certificates that are being made: other threads do that, and who counts time by itself waits for them. */
export const underWay = new Set<Promise<string>>();

function counted<Args extends readonly unknown[]>(make: (...args: Args) => Promise<string>) {
  return (...args: Args): Promise<string> => {
    const made = make(...args);
    underWay.add(made);
    const end = () => void underWay.delete(made);
    made.then(end, end);
    return made;
  };
}

export const clusterCertificate = counted(clusterCertificateMade);
export const nodeCertificate = counted(nodeCertificateMade);

/** The cluster's certificate, signed by itself, in PEM. `number`: which of its keys it is; each has a name of its own. */
async function clusterCertificateMade(key: Identity, cluster: ClusterId, number = 1): Promise<string> {
  const x509 = await certificates();
  const keys = await webKeys(key);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(16).toString("hex"),
    name: number === 1 ? `CN=${cluster}` : `CN=${cluster} ${number}`,
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    keys,
    signingAlgorithm: ED25519,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return made.toString("pem");
}

/** A node's certificate, whose name is its id, signed by the cluster's key. */
async function nodeCertificateMade(
  node: { readonly node: NodeId; readonly publicKey: Uint8Array },
  clusterKey: Identity,
  clusterPem: string,
): Promise<string> {
  const x509 = await certificates();
  const { privateKey } = await webKeys(clusterKey);
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(16).toString("hex"),
    subject: `CN=${node.node}`,
    issuer: new x509.X509Certificate(clusterPem).subject,
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    signingKey: privateKey,
    publicKey: await webPublicKey(node.publicKey),
    signingAlgorithm: ED25519,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: serverName(node.node) }]),
    ],
  });
  return made.toString("pem");
}

/** A certificate for one listener and a few minutes: it names nobody, and whoever meets it must prove the other side in another way. */
export async function oneTimeCertificate(key: Identity): Promise<string> {
  const x509 = await certificates();
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(16).toString("hex"),
    name: "CN=exo pairing",
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    keys: await webKeys(key),
    signingAlgorithm: ED25519,
    extensions: [new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true)],
  });
  return made.toString("pem");
}

/** A label of a host name has 63 letters at most, so that the whole id fits. */
export const serverName = (node: NodeId): string => `${node}.exo`;

/** The raw key that a TLS peer proved. */
export const keyOf = (certificate: X509Certificate): Uint8Array => rawKey(certificate.publicKey);

async function webKeys({ privateKey, publicKey }: Identity): Promise<CryptoKeyPair> {
  const der = privateKey.export({ type: "pkcs8", format: "der" });
  return {
    privateKey: await crypto.subtle.importKey("pkcs8", der, ED25519, false, ["sign"]),
    publicKey: await webPublicKey(publicKey),
  };
}

const webPublicKey = (raw: Uint8Array): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", Uint8Array.from(raw), ED25519, true, ["verify"]);
