/** A change finds whoever leads: this node or another, also when they change in the middle. */
import type { Epoch } from "#actors/runtime/raft/proposals";
import { STEP_ANSWER_MS, STEP_MS } from "#actors/runtime/security/steps";
import type { ActorSystem } from "#actors/runtime/system";
import { Cluster, type ClusterMessage, ClusterReply, type MemberChange } from "#protocol/cluster";
import type { Address, NodeId } from "#protocol/ids";
import { Problem, problemBody, problemOf } from "#protocol/problem";
import { cutOff, noMajority, type Votes } from "./reach.ts";
import { isNotLeading, isOutdated, notLeading, type Replica } from "./replica.ts";

/** Two elections: by then a majority is not there. */
const PATIENCE_MS = 10_000;
/** Above the log's own wait, so that its answer is the one that is told. */
const ANSWER_MS = 12_000;
/** Of these some take the cluster's key from somebody, and the next one is made first. */
const KEYED: readonly MemberChange["type"][] = ["forget", "role", "rotate"];
const LOOK_EVERY_MS = 100;

export interface LeadingPorts {
  readonly system: ActorSystem;
  readonly self: Address;
  readonly replica: () => Replica;
  /** Whether there is a link to it now. */
  readonly reaches: (node: NodeId) => boolean;
  /** Who votes, and how they are seen from here. */
  readonly votes: () => Votes;
  /** Makes the change while this node leads. */
  readonly make: (message: ClusterMessage) => Promise<Epoch>;
}

/** Resolves when a majority holds what the message asks for; throws Problem, as soon as none can come to hold it. */
export async function led(ports: LeadingPorts, message: ClusterMessage): Promise<Epoch> {
  const { clock } = ports.system;
  const untilMs = clock.nowMs() + PATIENCE_MS;
  const isCut = cutOff(clock, ports.votes);
  for (;;) {
    const problem = await tried(ports, message);
    if (!(problem instanceof Problem)) return problem;
    if (isCut() || clock.nowMs() > untilMs) throw isOutdated(problem) ? problem : noMajority();
    await new Promise<void>((resolve) => void clock.after(LOOK_EVERY_MS, resolve));
  }
}

/** Why it is to be asked again; throws any other Problem. */
async function tried(
  { system, self, replica, reaches, make }: LeadingPorts,
  message: ClusterMessage,
): Promise<Epoch | Problem> {
  const { raft, leads, state } = replica();
  try {
    if (leads) return await make(message);
    if (raft.leader && reaches(raft.leader))
      return await asked(system, self, raft.leader, withSeen(message, state?.list.version));
    return notLeading();
  } catch (error) {
    if (error instanceof Problem && (isNotLeading(error) || isOutdated(error))) return error;
    throw error;
  }
}

const withSeen = (message: ClusterMessage, seen: number | undefined): ClusterMessage =>
  message.type === "Cluster.Change" && seen !== undefined ? { ...message, seen } : message;

async function asked(
  system: ActorSystem,
  self: Address,
  leader: NodeId,
  message: ClusterMessage,
): Promise<Epoch> {
  const to = `${leader}/cluster` as Address;
  const isKeyed = message.type === "Cluster.Change" && KEYED.includes(message.change.type);
  const answerMs = isKeyed ? STEP_MS + ANSWER_MS : ANSWER_MS;
  const answer = await system.ask<ClusterReply>(to, message, self, answerMs);
  if (answer.type === "ClusterReply.Refused") throw problemOf(answer.problem);
  if (answer.type === "ClusterReply.Done") return answer.epoch;
  throw new Problem("internal", `${leader.slice(0, 8)} answered a change with ${answer.type}`);
}

/** Answers what another member asked of this node. */
export const answered = (made: Promise<Epoch>): Promise<ClusterReply> =>
  made.then(
    (epoch) => ClusterReply.Done({ epoch }),
    (error: unknown) => ClusterReply.Refused({ problem: problemBody(error) }),
  );

/** This node's certificate by the cluster's newest key, from a member that holds it. Throws Problem. */
export async function certificateFrom(system: ActorSystem, node: NodeId): Promise<string> {
  const [to, from] = [`${node}/cluster` as Address, system.address("cluster")];
  const answer = await system.ask<ClusterReply>(to, Cluster.Certify({}), from, STEP_ANSWER_MS);
  if (answer.type === "ClusterReply.Refused") throw problemOf(answer.problem);
  if (answer.type === "ClusterReply.Certificate") return answer.pem;
  throw new Problem("internal", `${node.slice(0, 8)} answered with ${answer.type}`);
}

export const certified = (made: Promise<string>): Promise<ClusterReply> =>
  made.then(
    (pem) => ClusterReply.Certificate({ pem }),
    (error: unknown) => ClusterReply.Refused({ problem: problemBody(error) }),
  );

const NO_SAY = "role";
export const isNoSay = (error: unknown): boolean => error instanceof Problem && error.param === NO_SAY;
export const noSay = (): Problem =>
  new Problem("forbidden", "this machine is a worker of its home, which changes nothing about it", {
    param: NO_SAY,
    remedy: "do it on another machine of the home; exo node NAME role full there gives this one a say",
  });
