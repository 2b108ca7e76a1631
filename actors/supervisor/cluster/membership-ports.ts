/** What a node's part in a cluster may touch. */
import type { DiscoveryHandle } from "#actors/discovery/index";
import type { WatchPorts } from "#actors/discovery/ports";
import type { RaftStore } from "#actors/runtime/raft/log";
import type { Identity } from "#actors/runtime/security/identity";
import type { Steps } from "#actors/runtime/security/steps";
import type { ActorSystem } from "#actors/runtime/system";
import type { Link, Network } from "#actors/runtime/transport/network";
import type { Trust } from "#actors/runtime/transport/trust";
import type { MemberList } from "#protocol/cluster";
import type { Neighbour } from "#protocol/discovery";
import type { ClusterStore } from "./record.ts";

export interface MembershipPorts {
  readonly system: ActorSystem;
  readonly identity: Identity;
  readonly store: ClusterStore & RaftStore;
  readonly random: () => number;
  /** How certificates are made and keys sealed; absent: in this process, which keeps memory for it. */
  readonly steps?: Steps | undefined;
  readonly openNetwork: (trust: Trust) => Network;
  readonly watch: DiscoveryHandle["watch"];
  readonly probe: WatchPorts["probe"];
  /** Hosts by which this machine can be reached. */
  readonly hosts: () => readonly string[];
  /** A member opened a link for tensors or files. */
  readonly lane: (link: Link) => void;
  /** Anything that a view of the home shows is another. */
  readonly changed: () => void;
  /** This node is on its home's list no more. */
  readonly expelled: (by: MemberList) => void;
  readonly refused: (from: string, why: string) => void;
  readonly troubled: (why: string) => void;
}

export interface ClusterNodePorts
  extends Omit<MembershipPorts, "lane" | "changed" | "expelled" | "store" | "system" | "identity"> {
  readonly system: ActorSystem;
  readonly identity: Identity;
  readonly store: ClusterStore & RaftStore;
  readonly name: string;
  readonly version: string;
  /** Machines that were heard nearby. */
  readonly near: () => Promise<readonly Neighbour[]>;
}
