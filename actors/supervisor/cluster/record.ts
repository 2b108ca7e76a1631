/** What a node keeps of its cluster between starts. */
import type { Authority, MemberList } from "#protocol/cluster";
import type { ClusterId } from "#protocol/ids";
import type { RaftSnapshot } from "#protocol/raft";

/** A key that members prove themselves with in datagrams; `number` rises with each rotation. */
export interface DiscoveryKeyRecord {
  readonly number: number;
  readonly secret: Uint8Array;
}

/** A home that goes on without this machine. */
export interface Forgetters {
  readonly cluster: ClusterId;
  /** Its machines, some of them where it has many. */
  readonly names: readonly string[];
}

export interface ClusterRecord {
  readonly cluster: ClusterId;
  /** The cluster's certificate, in PEM; its key signs member lists. */
  readonly clusterPem: string;
  /** How many keys the cluster has had; absent: this is its first. */
  readonly clusterNumber?: number;
  /** The certificates before, each with its key's word for the next. */
  readonly clusterBefore?: Authority["before"];
  /** The cluster's private key in the clear, as early versions kept it: sealed when it is read. */
  readonly clusterKeyPem?: string;
  /** The same, sealed to this node's key. */
  readonly clusterKeyBox?: Uint8Array;
  /** This node's own certificate, in PEM; of a key before until it has its new one. */
  readonly nodePem: string;
  readonly members: MemberList;
  /** How many takeovers came before this list; absent: none. */
  readonly history?: number;
  /** How much of the log was final when this node was let in: it votes when its own is as long. Absent: it was there from the start. */
  readonly since?: number;
  readonly discoveryKeys: readonly DiscoveryKeyRecord[];
  /** Where members were reached last, by id: `host:port`, newest first. */
  readonly addresses: Readonly<Record<string, readonly string[]>>;
  /** This machine was taken off the list of another home before it began this one: told until it joins another. */
  readonly forgottenBy?: Forgetters;
}

export const recordedAuthority = ({ pem, number, before }: Authority) => ({
  clusterPem: pem,
  clusterNumber: number,
  clusterBefore: before,
});

/** What mends a membership or an identity that is damaged. */
export const BEGIN_ANEW =
  "end exo, then exo node reset-identity --yes: this machine begins anew; exo invite on another machine and exo join CODE here pair it again";

/** The key that the record's list is signed with, and those before it. */
export const authorityOf = ({
  clusterPem,
  clusterNumber = 1,
  clusterBefore = [],
}: ClusterRecord): Authority => ({
  number: clusterNumber,
  pem: clusterPem,
  before: clusterBefore,
});

/** Where the record lies. Calls are durable when they return; half-written or damaged content is refused by `loadRecord`, never used. */
export interface ClusterStore {
  /** Undefined at the first start. Throws Problem when what is there is damaged: the node goes on alone and says so. */
  loadRecord(): ClusterRecord | undefined;
  saveRecord(record: ClusterRecord): void;
  /**
   * Becomes part of this cluster instead of the one before, whose log is forgotten, but not the vote that was given in it; without a
   * snapshot it waits to be sent one.
   */
  begin(record: ClusterRecord, snapshot?: RaftSnapshot): void;
}
