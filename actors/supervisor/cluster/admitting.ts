/** Records of membership: made for who is let in, and checked by who is given one. */
import { X509Certificate } from "node:crypto";
import { hasSigned } from "#actors/runtime/security/authority";
import { keyOf, nodeCertificate } from "#actors/runtime/security/certificate";
import { type Identity, nodeIdOf } from "#actors/runtime/security/identity";
import { isSigned } from "#actors/runtime/security/member-list";
import type { Steps } from "#actors/runtime/security/steps";
import { endpointFrom } from "#actors/runtime/transport/endpoint";
import { Problem } from "#protocol/problem";
import type { Joiner } from "./admission.ts";
import type { Membership } from "./membership.ts";
import { BEGIN_ANEW, type ClusterRecord } from "./record.ts";

/** What a new member keeps: everything but the cluster's key. */
export async function recordFor(
  { publicKey, addresses }: Joiner,
  { self, record, authority, clusterKey, list, links, replica }: Membership,
  steps?: Steps,
): Promise<ClusterRecord> {
  // It may have changed hands since the machine was put on the list: then the next try finds it there.
  if (!clusterKey) throw new Problem("unavailable", "this machine does not hold the cluster's key any more");
  const node = nodeIdOf(publicKey);
  for (const endpoint of addresses.map(endpointFrom).toReversed()) if (endpoint) links?.learn(node, endpoint);
  return {
    cluster: record.cluster,
    clusterPem: authority.pem,
    clusterNumber: authority.number,
    clusterBefore: authority.before,
    nodePem: await nodeCertificate({ node, publicKey }, clusterKey, authority.pem, steps),
    members: list,
    history: replica.history,
    since: replica.raft.committed,
    discoveryKeys: replica.state?.discoveryKeys ?? record.discoveryKeys,
    addresses: { ...record.addresses, [self]: links?.here ?? [] },
  };
}

/** Throws Problem `invalid` unless the record makes `identity` a member of the cluster that it names. */
export function checkRecord(record: ClusterRecord, { node, publicKey }: Identity): void {
  const wrong = faultIn(record, publicKey);
  if (wrong !== undefined)
    throw new Problem("invalid", `the membership of ${node.slice(0, 8)} does not hold: ${wrong}`, {
      remedy: BEGIN_ANEW,
    });
}

function faultIn(
  { cluster, clusterPem, clusterBefore = [], nodePem, members }: ClusterRecord,
  publicKey: Uint8Array,
): string | undefined {
  const [authority, own] = [certificate(clusterPem), certificate(nodePem)];
  if (!authority || !own) return "a certificate cannot be read";
  if (Buffer.compare(keyOf(own), publicKey) !== 0) return "its certificate is for another key";
  // Of a key before: it gets its new one as soon as it meets another machine.
  const authorities = [clusterPem, ...clusterBefore.map(({ pem }) => pem)];
  if (!authorities.some((pem) => hasSigned(pem, own)))
    return "its certificate is not signed by the cluster's key";
  if (members.cluster !== cluster) return "the member list is another cluster's";
  if (!isSigned(members, keyOf(authority))) return "the member list is not signed by the cluster's key";
  return undefined;
}

function certificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined; // Told as what is wrong with the record.
  }
}
