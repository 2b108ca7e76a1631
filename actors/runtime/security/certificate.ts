/**
 * Certificates that let TLS prove keys: the cluster's own, and one for each node. They say nothing of membership, which is the
 * signed list's, and run out too late to matter, so that a machine with a dead clock still works.
 */
import type { X509Certificate } from "node:crypto";
import type { ClusterId, NodeId } from "#protocol/ids";
import type { NodeNamed } from "./certificate-steps.ts";
import { type Identity, rawKey } from "./identity.ts";
import { type Steps, stepHere, valuesBy } from "./steps.ts";

interface Named {
  readonly node: NodeId;
  readonly publicKey: Uint8Array;
}

/** Of a cluster that begins with this node: both in PEM. Throws Problem, as all of these. */
export async function foundingCertificates(
  clusterKey: Pick<Identity, "pem">,
  cluster: ClusterId,
  node: Named,
  steps: Steps = stepHere,
): Promise<{ readonly clusterPem: string; readonly nodePem: string }> {
  const [clusterPem = "", nodePem = ""] = await valuesBy(steps, "found", [
    clusterKey.pem,
    nameOf(cluster, 1),
    named(node),
  ]);
  return { clusterPem, nodePem };
}

/** The cluster's certificate, signed by itself, in PEM. `number`: which of its keys it is; each has a name of its own. */
export async function clusterCertificate(
  key: Pick<Identity, "pem">,
  cluster: ClusterId,
  number = 1,
  steps: Steps = stepHere,
): Promise<string> {
  const [pem = ""] = await valuesBy(steps, "certifyCluster", [key.pem, nameOf(cluster, number)]);
  return pem;
}

/** A node's certificate, whose name is its id, signed by the cluster's key. */
export async function nodeCertificate(
  node: Named,
  clusterKey: Pick<Identity, "pem">,
  clusterPem: string,
  steps: Steps = stepHere,
): Promise<string> {
  const [pem = ""] = await valuesBy(steps, "certifyNode", [clusterKey.pem, clusterPem, named(node)]);
  return pem;
}

/** A certificate for one listener and a few minutes: it names nobody, and whoever meets it must prove the other side in another way. */
export async function oneTimeCertificate(
  key: Pick<Identity, "pem">,
  steps: Steps = stepHere,
): Promise<string> {
  const [pem = ""] = await valuesBy(steps, "certifyOnce", [key.pem]);
  return pem;
}

/** Of a cluster in its certificate: each of its keys has another. */
export const nameOf = (cluster: ClusterId, number: number): string =>
  number === 1 ? cluster : `${cluster} ${number}`;

function named({ node, publicKey }: Named): string {
  const said: NodeNamed = {
    node,
    serverName: serverName(node),
    publicKey: Buffer.from(publicKey).toString("hex"),
  };
  return JSON.stringify(said);
}

/** A label of a host name has 63 letters at most, so that the whole id fits. */
export const serverName = (node: NodeId): string => `${node}.exo`;

/** The raw key that a TLS peer proved. */
export const keyOf = (certificate: X509Certificate): Uint8Array => rawKey(certificate.publicKey);
