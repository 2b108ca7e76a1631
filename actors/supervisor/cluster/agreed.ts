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
  /** Another, and higher, each time that somebody begins to lead. */
  readonly term: number;
  /** The last entry of the log that this node knows to be final. */
  readonly heard: number;
  readonly instances: readonly PlacedInstance[];
  /**
   * Only while this node leads: what it wants was decided by what it knew, and who leads after it knows better. Resolves when a majority
   * agreed. Throws Problem.
   */
  propose(command: InstanceCommand): Promise<Epoch>;
}

export function agreedBy(membership: Membership): Agreed {
  const { replica, self } = membership;
  const { raft, leads, state } = replica;
  return {
    leader: raft.leader,
    // A worker that leads for a moment, as it holds what the others lack, is refused whatever it asks of them.
    leads: leads && membership.roleOf(self) !== "worker",
    term: raft.term,
    heard: raft.committed,
    instances: state?.instances ?? [],
    propose: (command) => replica.propose(encodeCommand(command)),
  };
}
