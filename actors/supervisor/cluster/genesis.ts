/** The beginning of a cluster: one machine, its own authority. */
import { randomBytes } from "node:crypto";
import { foundingCertificates } from "#actors/runtime/security/certificate";
import { base32, freshIdentity, type Identity } from "#actors/runtime/security/identity";
import { signMemberList } from "#actors/runtime/security/member-list";
import type { Steps } from "#actors/runtime/security/steps";
import type { ClusterId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { RaftSnapshot } from "#protocol/raft";
import { authorityOf, type ClusterRecord } from "./record.ts";
import { ownSealedKey } from "./sealed-key.ts";
import { encodeState } from "./state.ts";

/** Length of a discovery key, as long as the hash that it keys. */
const SECRET_BYTES = 32;

interface Founding {
  readonly clusterKey?: Identity;
  /** Absent, or where these fail: certificates are made in this process. */
  readonly steps?: Steps | undefined;
}

/** A cluster of this node alone, which may let others in. Throws Problem. */
export async function freshCluster(
  identity: Identity,
  name: string,
  nowSeconds: number,
  { clusterKey = freshIdentity(), steps }: Founding = {},
): Promise<ClusterRecord> {
  const cluster = base32(randomBytes(16)) as ClusterId;
  const found = (by?: Steps) => foundingCertificates(clusterKey, cluster, identity, by);
  const papers = await found(steps).catch((error: unknown) => {
    if (!(error instanceof Problem)) throw error;
    // Without a home this machine would stay alone until its next start: that is worth the memory.
    return found();
  });
  const { node, publicKey: key } = identity;
  const self = { node, key, name, joinedAt: nowSeconds, labels: {}, drained: false, excluded: false };
  return {
    cluster,
    ...papers,
    clusterKeyBox: ownSealedKey(identity, clusterKey, cluster),
    members: signMemberList({ cluster, version: 1, minimumMinor: 0, members: [self] }, clusterKey),
    discoveryKeys: [freshDiscoveryKey(1)],
    addresses: {},
  };
}

export const freshDiscoveryKey = (number: number) => ({
  number,
  secret: new Uint8Array(randomBytes(SECRET_BYTES)),
});

/** The log of a cluster begins with its first state, so that whoever comes later is sent it whole. */
export const firstSnapshot = (record: ClusterRecord, { node }: Identity): RaftSnapshot => ({
  index: 1,
  term: 1,
  config: { voters: [node], learners: [] },
  state: encodeState({
    list: record.members,
    discoveryKeys: [...record.discoveryKeys],
    settings: {},
    authority: authorityOf(record),
    boxes: record.clusterKeyBox ? { [node]: record.clusterKeyBox } : {},
  }),
});
