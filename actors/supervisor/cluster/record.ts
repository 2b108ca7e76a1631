/** What a node keeps of its cluster between starts. */
import type { MemberList } from "#protocol/cluster";
import type { ClusterId } from "#protocol/ids";
import type { RaftSnapshot } from "#protocol/raft";

/** A key that members prove themselves with in datagrams; `number` rises with each rotation. */
export interface DiscoveryKeyRecord {
  readonly number: number;
  readonly secret: Uint8Array;
}

export interface ClusterRecord {
  readonly cluster: ClusterId;
  /** The cluster's certificate, in PEM; its key signs member lists. */
  readonly clusterPem: string;
  /** The private part (PKCS #8 in PEM), on nodes that may let others in. */
  readonly clusterKeyPem?: string;
  /** This node's own certificate, in PEM. */
  readonly nodePem: string;
  readonly members: MemberList;
  /** How many takeovers came before this list; absent: none. */
  readonly history?: number;
  readonly discoveryKeys: readonly DiscoveryKeyRecord[];
  /** Where members were reached last, by id: `host:port`, newest first. */
  readonly addresses: Readonly<Record<string, readonly string[]>>;
}

/** What mends a membership or an identity that is damaged. */
export const BEGIN_ANEW =
  "end exo, then exo node reset-identity --yes: this machine begins anew; exo invite on another machine and exo join CODE here pair it again";

/** Where the record lies. Calls are durable when they return; half-written or damaged content is refused by `loadRecord`, never used. */
export interface ClusterStore {
  /** Undefined at the first start. Throws Problem when what is there is damaged: the node goes on alone and says so. */
  loadRecord(): ClusterRecord | undefined;
  saveRecord(record: ClusterRecord): void;
  /** Becomes part of this cluster instead of the one before, whose log is forgotten; without a snapshot it waits to be sent one. */
  begin(record: ClusterRecord, snapshot?: RaftSnapshot): void;
}
