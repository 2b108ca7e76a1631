/** What a node may ask of the home's log beside who belongs to it: where models are, who leads, and to change that. */
import type { Epoch } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { PlacedInstance } from "#protocol/placement";
import type { InstanceCommand } from "./instances.ts";
import type { Membership } from "./membership.ts";
import { encodeCommand } from "./state.ts";

export interface Agreed {
  /** As this node knows it; its link may be broken. */
  readonly leader: NodeId | undefined;
  readonly leads: boolean;
  /** The last entry of the log that this node knows to be final. */
  readonly heard: number;
  readonly instances: readonly PlacedInstance[];
  /** Whoever leads makes it; resolves when a majority agreed. Throws Problem. */
  propose(command: InstanceCommand): Promise<Epoch>;
}

export function agreedBy(membership: Membership): Agreed {
  const { raft, leads, state } = membership.replica;
  return {
    leader: raft.leader,
    leads,
    heard: raft.committed,
    instances: state?.instances ?? [],
    propose: (command) => membership.propose(encodeCommand(command)),
  };
}
