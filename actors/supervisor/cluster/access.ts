/**
 * What a member may say to which actor of this node. Whatever is not in the table does not get in: no member reaches the Supervisor,
 * a worker or the gateway of another by knowing its address (reliability.md T28), and none speaks for others (T27: the link proves
 * the sender, and an envelope that names another never arrives).
 */
import { refused } from "#actors/runtime/questions";
import type { Link } from "#actors/runtime/transport/network";
import type { Transport } from "#actors/runtime/transport/transport";
import type { Role } from "#protocol/cluster";
import type { Envelope } from "#protocol/codec";
import type { NodeId } from "#protocol/ids";
import { isBulk } from "#protocol/message";
import type { PlacedInstance } from "#protocol/placement";
import { noSay } from "./leading.ts";

/**
 * What a member may say follows from its role. A worker that still has a seat among those that vote, as nobody could take it yet, speaks
 * in the log as any of them: it may hold what nobody else does who is up.
 */
export type Say = Role | "seated";

export const sayOf = (role: Role, votes: boolean): Say => (role === "worker" && votes ? "seated" : role);

interface Door {
  readonly actor: string;
  /** Who may say it. */
  readonly roles: readonly Say[];
}

/** Models on several machines. */
export type Placed = readonly Pick<PlacedInstance, "stages">[];

const ANYBODY: readonly Say[] = ["full", "seated", "worker"];
/** A machine that votes, leads, lets others in and changes what all agree on. */
const FULL: readonly Say[] = ["full"];
const VOTERS: readonly Say[] = ["full", "seated"];

const doors = (actor: string, roles: readonly Say[], ...types: readonly string[]) =>
  Object.fromEntries(types.map((type): [string, Door] => [type, { actor, roles }]));

/**
 * The actor that a message of this type is for, and which roles may send it. What only who leads may order is refused by the log's
 * own rules as well, and a list carries its own proof. A new message between nodes needs its line.
 */
export const DOORS: Readonly<Record<string, Door>> = {
  ...doors("system", ANYBODY, "Runtime.Watch", "Runtime.Unwatch", "Runtime.Down"),
  ...doors(
    "discovery",
    ANYBODY,
    "Discovery.Beat",
    "Discovery.Goodbye",
    "Discovery.Missed",
    "Discovery.Heard",
  ),
  ...doors("discovery", ANYBODY, "Discovery.Here", "Discovery.Known", "Discovery.Copied"),
  // A worker answers with what it holds; without a seat it neither stands nor sends entries.
  ...doors("raft", ANYBODY, "Raft.AppendReply", "Raft.VoteReply"),
  ...doors("raft", VOTERS, "Raft.Vote", "Raft.Append", "Raft.Install", "Raft.Stand"),
  ...doors("topology", ANYBODY, "Topology.Facts", "Topology.Ping", "Topology.Pong", "Topology.Burst"),
  ...doors("topology", ANYBODY, "Topology.BurstEnd", "Topology.Measure"),
  ...doors("cluster", ANYBODY, "Cluster.Certify", "Cluster.Forgotten"),
  ...doors("cluster", FULL, "Cluster.Propose", "Cluster.Change"),
  // Whoever serves a request may ask for a model, and who has which; only who leads has stages made for it.
  ...doors(
    "placement",
    ANYBODY,
    "Placement.Place",
    "Placement.PlaceFaster",
    "Placement.Release",
    "Placement.Rebalance",
    "Placement.Held",
  ),
  ...doors("stages", ANYBODY, "Stages.Look", "Stages.Stored"),
  ...doors("stages", FULL, "Stages.Measure", "Stages.Tell", "Stages.Join", "Stages.End"),
  ...doors("stages", FULL, "Stages.Alone", "Stages.GiveWay"),
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
  "ShardWorker.Share": { from: WORKER, to: WORKER },
  "ShardWorker.PassFailed": { from: WORKER, to: WORKER },
  "GenerationReply.Delta": { from: WORKER, to: GATEWAY },
  "GenerationReply.Failed": { from: WORKER, to: GATEWAY },
};

const HEARTBEAT = "Discovery.Beat";
/** Who leads speaks four times a second: one answer to so many words is enough, and no flood of them is answered by another. */
const MISFITS = 4;

/** Answers to questions that this node asked; the system drops those that it did not ask of the sender. */
export const ANSWERS: ReadonlySet<string> = new Set([
  "Runtime.Refused",
  "ClusterReply.Done",
  "ClusterReply.Certificate",
  "ClusterReply.Refused",
  "TopologyReply.BurstAllowed",
  "TopologyReply.BurstRefused",
  "TopologyReply.BurstReceived",
  "TopologyReply.Measured",
  "PlacementReply.Placed",
  "PlacementReply.Stays",
  "PlacementReply.Released",
  "PlacementReply.Rebalanced",
  "PlacementReply.Refused",
  "StagesReply.Seen",
  "StagesReply.Measured",
  "StagesReply.Joined",
  "StagesReply.Ended",
  "StagesReply.Alone",
  "StagesReply.Stored",
  "StagesReply.Refused",
]);

export interface AccessPorts {
  readonly self: NodeId;
  readonly roleOf: (node: NodeId) => Say;
  /** A member said what it may not. */
  readonly refused: (node: NodeId, why: string) => void;
  /** It says what its role, as this node knows it, does not let it say: one of the two has not heard of its new one. */
  readonly outOfRole: (node: NodeId) => void;
  /** Something was said to it, or heard from it. */
  readonly said: (node: NodeId) => void;
  readonly heard: (node: NodeId) => void;
}

type Known = Pick<AccessPorts, "self" | "roleOf">;

/** Whether the envelope, which came over a member's link, may go in; else why not. */
export function refusal(envelope: Envelope, { self, roleOf }: Known): string | undefined {
  const { to, from, re, message } = envelope;
  const { type } = message;
  if (re !== undefined) return ANSWERS.has(type) ? undefined : `${type} is no answer`;
  if (Object.hasOwn(WORKER_DOORS, type)) return workerRefusal(envelope, self);
  const known = Object.hasOwn(DOORS, type) ? DOORS[type] : undefined;
  if (!known) return `${type} is not for other machines`;
  const { actor, roles } = known;
  const isThere = to.length === self.length + 1 + actor.length && to[self.length] === "/";
  if (!isThere || !to.startsWith(self) || !to.endsWith(actor))
    return `${type} is not for ${to.slice(to.indexOf("/") + 1)}`;
  return roles.includes(roleOf(nodeOf(from))) ? undefined : `${type} is not for a worker to send`;
}

/** An honest machine may not have heard of its new role yet: what it says then is passed over, and its link stays. */
export function isOutOfRole({ from, message }: Envelope, { roleOf }: Pick<AccessPorts, "roleOf">): boolean {
  const door = Object.hasOwn(DOORS, message.type) ? DOORS[message.type] : undefined;
  return door !== undefined && !door.roles.includes(roleOf(nodeOf(from)));
}

const nodeOf = (address: string): NodeId => address.slice(0, address.indexOf("/")) as NodeId;

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
export const laneRefusal = (envelope: Envelope, ports: Known): string | undefined =>
  isBulk(envelope.message.type)
    ? refusal(envelope, ports)
    : `${envelope.message.type} is not for a lane of tensors`;

/**
 * Whether a worker of another machine may have something for one of this: both machines have layers of one model, as all agreed. Where
 * it is agreed which worker holds them, it is that one. What an epoch says when it is over is not held against who says it.
 */
export const isShared = ({ from, to }: Envelope, placed: Placed): boolean => {
  const own = placed.filter(({ stages }) => stages.some(({ worker }) => worker === to));
  const nodes = [nodeOf(from), nodeOf(to)];
  return (own.length > 0 ? own : placed).some(({ stages }) =>
    nodes.every((each) => stages.some(({ node }) => node === each)),
  );
};

/** The link as the actor system may have it: nothing comes through that is not allowed. */
export function guarded(link: Link, ports: AccessPorts): Transport {
  const { node } = link.peer;
  const beatsTo = `${ports.self}/${DOORS[HEARTBEAT]?.actor}`;
  let misfits = 0;
  return {
    send(envelope) {
      ports.said(node);
      return link.send(envelope);
    },
    close: () => link.close(),
    set onReceive(receive: (envelope: Envelope) => void) {
      link.onReceive = (envelope) => {
        const { type } = envelope.message;
        // It may come from anybody and says nothing more, and most messages are one.
        if (type === HEARTBEAT && envelope.to === beatsTo) return ports.heard(node);
        const why = isBulk(type) ? `${type} is for the lane of tensors` : refusal(envelope, ports);
        if (why === undefined) {
          ports.heard(node);
          receive(envelope);
          return;
        }
        ports.refused(node, why);
        if (!isOutOfRole(envelope, ports)) {
          link.close();
          return;
        }
        const { id: re, to, from } = envelope;
        // Who asks hears that at once.
        if (re !== undefined) link.send({ to: from, from: to, re, message: refused(noSay()) });
        if (misfits++ % MISFITS === 0) ports.outOfRole(node);
      };
    },
    // Whoever watches over the link hears of its end; the system has no part in it.
    set onClose(_: (reason: string) => void) {},
  };
}
