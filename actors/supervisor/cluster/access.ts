/**
 * What a member may say to which actor of this node. Whatever is not in the table does not get in: no member reaches the Supervisor,
 * a worker or the gateway of another by knowing its address (reliability.md T28), and none speaks for others (T27: the link proves
 * the sender, and an envelope that names another never arrives).
 */
import type { Link } from "#actors/runtime/transport/network";
import type { Transport } from "#actors/runtime/transport/transport";
import type { Envelope } from "#protocol/codec";
import type { NodeId } from "#protocol/ids";

/** Who may say it: any member, or only who leads as far as this node knows. */
type Role = "member" | "leader";

interface Door {
  readonly actor: string;
  readonly by: Role;
}

const door = (actor: string, by: Role = "member"): Door => ({ actor, by });

/** By message type. A new message between nodes needs its line here. */
export const DOORS: Readonly<Record<string, Door>> = {
  "Runtime.Watch": door("system"),
  "Runtime.Unwatch": door("system"),
  "Runtime.Down": door("system"),
  "Discovery.Beat": door("discovery"),
  "Discovery.Goodbye": door("discovery"),
  "Discovery.Missed": door("discovery"),
  "Discovery.Heard": door("discovery"),
  "Discovery.Here": door("discovery"),
  "Discovery.Known": door("discovery"),
  "Raft.Vote": door("raft"),
  "Raft.VoteReply": door("raft"),
  "Raft.Append": door("raft"),
  "Raft.AppendReply": door("raft"),
  "Raft.Install": door("raft"),
  "Raft.Stand": door("raft"),
  "Topology.Facts": door("topology"),
  "Topology.Ping": door("topology"),
  "Topology.Pong": door("topology"),
  "Topology.Burst": door("topology"),
  "Topology.BurstEnd": door("topology"),
  "Topology.Measure": door("topology"),
  "Cluster.Propose": door("cluster"),
  "Cluster.Change": door("cluster"),
  "Cluster.Key": door("cluster", "leader"),
  "Cluster.Forgotten": door("cluster"),
};

/** Answers to questions that this node asked; the system drops those that it did not ask of the sender. */
export const ANSWERS: ReadonlySet<string> = new Set([
  "Runtime.Refused",
  "ClusterReply.Done",
  "ClusterReply.Refused",
  "TopologyReply.BurstAllowed",
  "TopologyReply.BurstRefused",
  "TopologyReply.BurstReceived",
  "TopologyReply.Measured",
]);

export interface AccessPorts {
  readonly self: NodeId;
  readonly leader: () => NodeId | undefined;
  /** A member said what it may not; its link is closed. */
  readonly refused: (node: NodeId, why: string) => void;
}

/** Whether the envelope, which came over `from`'s link, may go in; else why not. */
export function refusal(
  { to, re, message }: Envelope,
  from: NodeId,
  { self, leader }: AccessPorts,
): string | undefined {
  const { type } = message;
  if (re !== undefined) return ANSWERS.has(type) ? undefined : `${type} is no answer`;
  const known = Object.hasOwn(DOORS, type) ? DOORS[type] : undefined;
  if (!known) return `${type} is not for other machines`;
  if (to !== `${self}/${known.actor}`) return `${type} is not for ${to.slice(to.indexOf("/") + 1)}`;
  // A newcomer hears from who leads before it knows that: what comes is checked by its own proof.
  const leads = leader() ?? from;
  if (known.by === "leader" && leads !== from) return `${type} is only for who leads`;
  return undefined;
}

/** The link as the actor system may have it: nothing comes through that is not allowed. */
export function guarded(link: Link, ports: AccessPorts): Transport {
  return {
    send: (envelope) => link.send(envelope),
    close: () => link.close(),
    set onReceive(receive: (envelope: Envelope) => void) {
      link.onReceive = (envelope) => {
        const why = refusal(envelope, link.peer.node, ports);
        if (why === undefined) return receive(envelope);
        ports.refused(link.peer.node, why);
        link.close();
      };
    },
    // Whoever watches over the link hears of its end; the system has no part in it.
    set onClose(_: (reason: string) => void) {},
  };
}
