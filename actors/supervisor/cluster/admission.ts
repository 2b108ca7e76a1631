/** How machines come into a cluster and leave it: what pairing asks of the cluster on both sides. */
import type { InviteRole } from "#protocol/pairing";
import type { ClusterRecord } from "./record.ts";

/** A machine that proved itself to the user, and wants in. */
export interface Joiner {
  /** Raw Ed25519, 32 bytes: its NodeId follows from it. */
  readonly publicKey: Uint8Array;
  /** As its user calls it; others with the same name are told apart by a number. */
  readonly name: string;
  /** Where it can be dialled, `host:port`, as far as known. */
  readonly addresses: readonly string[];
  /** Absent: a full member. One that is a member already keeps the role that it has. */
  readonly role?: InviteRole;
}

export interface Admission {
  /**
   * Lets a machine in: signs its certificate, puts it on the member list and waits until a majority agreed. Returns what the
   * joiner must keep (without the cluster's key). A machine that is a member already gets its record again. Throws Problem
   * `forbidden` where the cluster's key is not held here, `unavailable` without a majority, `doesNotFit` when the home is full.
   */
  admit(joiner: Joiner): Promise<ClusterRecord>;
  /**
   * Makes this node a member of another cluster, at once and for the next starts. Throws Problem `invalid` when the record is not
   * for this node or its signature is wrong, `forbidden` when this node is in a cluster with others (`exo node NAME forget`).
   */
  adopt(record: ClusterRecord): Promise<void>;
  /** Whether this node may let others in now: it holds the cluster's key. */
  readonly mayAdmit: boolean;
  /** Members besides this node; a node that has any cannot join elsewhere. */
  readonly others: number;
}
