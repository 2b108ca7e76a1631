/** Everything that pairing may touch. Production passes the cluster, TLS and discovery; a test passes plain objects. */
import type { Clock } from "#actors/runtime/clock";
import type { Steps } from "#actors/runtime/security/steps";
import type { Endpoint } from "#actors/runtime/transport/network";
import type { StrangerChannel, StrangerListener } from "#actors/runtime/transport/stranger";
import type { Neighbour } from "#protocol/discovery";
import type { NodeId } from "#protocol/ids";
import type { Admitted, InviteRole } from "#protocol/pairing";

/** What a new member keeps, as the cluster gives it. */
export interface Membership extends Omit<Admitted, "discoveryKeys" | "addresses"> {
  readonly discoveryKeys: readonly Admitted["discoveryKeys"][number][];
  readonly addresses: Readonly<Record<string, readonly string[]>>;
}

/** The cluster's two sides of letting a machine in; `admit` of a member gives its record again. */
export interface AdmissionPort {
  /** Throws Problem `forbidden` where the cluster's key is not held, `unavailable` without a majority. */
  admit(joiner: {
    readonly publicKey: Uint8Array;
    readonly name: string;
    readonly addresses: readonly string[];
    readonly role?: InviteRole;
  }): Promise<Membership>;
  /** Throws Problem `invalid` for a record that is not this node's, `forbidden` for a node with others. */
  adopt(record: Membership): Promise<void>;
  readonly mayAdmit: boolean;
  /** Members besides this node. */
  readonly others: number;
}

export interface PairingPorts {
  readonly clock: Clock;
  /** From a cryptographic source. */
  readonly random: (bytes: number) => Uint8Array;
  readonly node: NodeId;
  readonly publicKey: Uint8Array;
  readonly name: () => string;
  /** Where this node listens for members, 0 if that is not known before. */
  readonly port: () => number;
  readonly admission: AdmissionPort;
  readonly isMember: (node: NodeId) => boolean;
  /** Whether that member is connected now. */
  readonly isUp: (node: NodeId) => boolean;
  readonly neighbours: () => Promise<readonly Neighbour[]>;
  /** This machine's own addresses that others could dial. */
  readonly addresses: () => readonly string[];
  /** Others should see soon that pairing is open at this port, or closed (0), and whether one may come in by a code. */
  readonly announce: (pairingPort: number, inviting: boolean) => void;
  /** Something that this machine's user should know: said once for each cause. */
  readonly troubled: (why: string) => void;
  readonly listen: (opened: (channel: StrangerChannel) => void) => Promise<StrangerListener>;
  readonly dial: (to: Endpoint, signal: AbortSignal) => Promise<StrangerChannel>;
  /** How codes are proved; absent: in this process, which keeps memory for it from then on. */
  readonly steps?: Steps;
  /** Machines of one home that know it pair by themselves. */
  readonly secret?: string;
}
