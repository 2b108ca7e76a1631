/**
 * What a member may say to which actor of this node. Whatever is not in the table does not get in: no member reaches the Supervisor,
 * a worker or the gateway of another by knowing its address (reliability.md T28), and none speaks for others (T27: the link proves
 * the sender, and an envelope that names another never arrives).
 */
import type { Link } from "#actors/runtime/transport/network";
import type { Transport } from "#actors/runtime/transport/transport";
import type { Envelope } from "#protocol/codec";
import type { NodeId } from "#protocol/ids";
import { isBulk } from "#protocol/message";

/**
 * The actor that a message of this type is for. All members are alike here: what only who leads may order is refused by the log's own
 * rules, and a key or a list carries its own proof. A new message between nodes needs its line.
 */
export const DOORS: Readonly<Record<string, string>> = {
  "Runtime.Watch": "system",
  "Runtime.Unwatch": "system",
  "Runtime.Down": "system",
  "Discovery.Beat": "discovery",
  "Discovery.Goodbye": "discovery",
  "Discovery.Copied": "discovery",
  "Discovery.Missed": "discovery",
  "Discovery.Heard": "discovery",
  "Discovery.Here": "discovery",
  "Discovery.Known": "discovery",
  "Raft.Vote": "raft",
  "Raft.VoteReply": "raft",
  "Raft.Append": "raft",
  "Raft.AppendReply": "raft",
  "Raft.Install": "raft",
  "Raft.Stand": "raft",
  "Topology.Facts": "topology",
  "Topology.Ping": "topology",
  "Topology.Pong": "topology",
  "Topology.Burst": "topology",
  "Topology.BurstEnd": "topology",
  "Topology.Measure": "topology",
  "Cluster.Propose": "cluster",
  "Cluster.Change": "cluster",
  "Cluster.Key": "cluster",
  "Cluster.Forgotten": "cluster",
  "Placement.Place": "placement",
  "Placement.Release": "placement",
  "Placement.Held": "placement",
  "Stages.Look": "stages",
  "Stages.Join": "stages",
  "Stages.End": "stages",
};

const WORKER = "worker-";
const GATEWAY = "api-gateway";

/**
 * What goes between workers, and between gateways and workers: which actor says it, and to which. No other machine loads a worker or
 * makes it join a group: its own Supervisor does, when whoever leads has asked for it.
 */
export const WORKER_DOORS: Readonly<Record<string, { readonly from: string; readonly to: string }>> = {
  "ShardWorker.Generate": { from: GATEWAY, to: WORKER },
  "ShardWorker.Cancel": { from: GATEWAY, to: WORKER },
  "ShardWorker.Pass": { from: WORKER, to: WORKER },
  "ShardWorker.PassFailed": { from: WORKER, to: WORKER },
  "GenerationReply.Delta": { from: WORKER, to: GATEWAY },
  "GenerationReply.Failed": { from: WORKER, to: GATEWAY },
};

const HEARTBEAT = "Discovery.Beat";

/** Answers to questions that this node asked; the system drops those that it did not ask of the sender. */
export const ANSWERS: ReadonlySet<string> = new Set([
  "Runtime.Refused",
  "ClusterReply.Done",
  "ClusterReply.Refused",
  "TopologyReply.BurstAllowed",
  "TopologyReply.BurstRefused",
  "TopologyReply.BurstReceived",
  "TopologyReply.Measured",
  "PlacementReply.Placed",
  "PlacementReply.Released",
  "PlacementReply.Refused",
  "StagesReply.Seen",
  "StagesReply.Joined",
  "StagesReply.Ended",
  "StagesReply.Refused",
]);

export interface AccessPorts {
  readonly self: NodeId;
  /** A member said what it may not; its link is closed. */
  readonly refused: (node: NodeId, why: string) => void;
  /** Something was said to it, or heard from it. */
  readonly said: (node: NodeId) => void;
  readonly heard: (node: NodeId) => void;
}

/** Whether the envelope, which came over a member's link, may go in; else why not. */
export function refusal(envelope: Envelope, { self }: Pick<AccessPorts, "self">): string | undefined {
  const { to, re, message } = envelope;
  const { type } = message;
  if (re !== undefined) return ANSWERS.has(type) ? undefined : `${type} is no answer`;
  if (Object.hasOwn(WORKER_DOORS, type)) return workerRefusal(envelope, self);
  const known = Object.hasOwn(DOORS, type) ? DOORS[type] : undefined;
  if (!known) return `${type} is not for other machines`;
  const isThere = to.length === self.length + 1 + known.length && to[self.length] === "/";
  if (!isThere || !to.startsWith(self) || !to.endsWith(known))
    return `${type} is not for ${to.slice(to.indexOf("/") + 1)}`;
  return undefined;
}

/** Who asks is who is answered: nobody has a worker send its words to others. */
function workerRefusal({ to, from, message }: Envelope, self: NodeId): string | undefined {
  const { type, replyTo = from } = message as Envelope["message"] & { readonly replyTo?: string };
  const door = WORKER_DOORS[type];
  const [there, here] = [actorOf(from), actorOf(to)];
  if (!door || !isRole(there, door.from)) return `${type} is not for ${there} to say`;
  if (!to.startsWith(self) || to[self.length] !== "/" || !isRole(here, door.to))
    return `${type} is not for ${here}`;
  return replyTo === from ? undefined : `${type} names another to answer to`;
}

const actorOf = (address: string): string => address.slice(address.indexOf("/") + 1);
const isRole = (actor: string, role: string): boolean =>
  role === WORKER ? actor.startsWith(WORKER) && !actor.includes("/") : actor === role;

/** The same for what came over a lane for tensors, where nothing else may come. */
export const laneRefusal = (envelope: Envelope, ports: Pick<AccessPorts, "self">): string | undefined =>
  isBulk(envelope.message.type)
    ? refusal(envelope, ports)
    : `${envelope.message.type} is not for a lane of tensors`;

/** The link as the actor system may have it: nothing comes through that is not allowed. */
export function guarded(link: Link, ports: AccessPorts): Transport {
  const { node } = link.peer;
  return {
    send(envelope) {
      ports.said(node);
      return link.send(envelope);
    },
    close: () => link.close(),
    set onReceive(receive: (envelope: Envelope) => void) {
      link.onReceive = (envelope) => {
        const { type } = envelope.message;
        const why = isBulk(type) ? `${type} is for the lane of tensors` : refusal(envelope, ports);
        if (why === undefined) {
          ports.heard(node);
          // A heartbeat says nothing more.
          if (type !== HEARTBEAT) receive(envelope);
          return;
        }
        ports.refused(node, why);
        link.close();
      };
    },
    // Whoever watches over the link hears of its end; the system has no part in it.
    set onClose(_: (reason: string) => void) {},
  };
}
