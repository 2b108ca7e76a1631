/** Who belongs to a cluster and what all its members agree on: plain data that travels signed or through the replicated log. */
import { type Static, Type as t } from "@sinclair/typebox";
import { ClusterId, NodeId } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";
import { NodeFacts } from "./node.ts";
import { ProblemBody } from "./problem.ts";
import { COMMAND_BYTES_MAX } from "./raft.ts";

/** More machines than any home has; every table of peers has this bound. */
export const MEMBERS_MAX = 256;

const Key = t.Uint8Array({ minByteLength: 32, maxByteLength: 32 });

/** One machine that was let in. `key` is its raw Ed25519 public key. */
export const Member = t.Object({
  node: NodeId,
  key: Key,
  name: t.String({ maxLength: 64 }),
  /** Seconds since 1970 by the clock of who let it in: for display only. */
  joinedAt: t.Integer({ minimum: 0 }),
  labels: t.Record(t.String({ maxLength: 32 }), t.String({ maxLength: 64 })),
  /** Takes no new work; what runs may end. */
  drained: t.Boolean(),
  /** Never used for models. */
  excluded: t.Boolean(),
});
export type Member = Static<typeof Member>;

/** The list that alone decides who is a member; `signature` is the cluster key's Ed25519 over the rest (`memberListBytes`). */
export const MemberList = t.Object({
  cluster: ClusterId,
  version: t.Integer({ minimum: 1 }),
  /** The lowest minor protocol version a link may speak. */
  minimumMinor: t.Integer({ minimum: 0 }),
  members: t.Array(Member, { maxItems: MEMBERS_MAX }),
  signature: t.Uint8Array({ minByteLength: 64, maxByteLength: 64 }),
});
export type MemberList = Static<typeof MemberList>;

/** Orders whatever needs a majority: a leader's term and its place in the log. */
export const Epoch = t.Object({ term: t.Integer({ minimum: 0 }), index: t.Integer({ minimum: 0 }) });
export type Epoch = Static<typeof Epoch>;

const name = t.String({ minLength: 1, maxLength: 64 });

const labels = t.Record(t.String({ maxLength: 32 }), t.String({ maxLength: 64 }));

/** What a user does to one machine of the home. Whoever leads makes it a new member list, signs and proposes it. */
export const MemberChange = t.Union([
  t.Object({ type: t.Literal("admit"), key: Key, name }),
  t.Object({ type: t.Literal("rename"), node: NodeId, name }),
  /** Sets these labels; an empty value takes one away. */
  t.Object({ type: t.Literal("label"), node: NodeId, labels }),
  t.Object({ type: t.Literal("drain"), node: NodeId }),
  t.Object({ type: t.Literal("exclude"), node: NodeId }),
  /** Ends `drain` and `exclude`. */
  t.Object({ type: t.Literal("resume"), node: NodeId }),
  t.Object({ type: t.Literal("forget"), node: NodeId }),
]);
export type MemberChange = Static<typeof MemberChange>;

/** What `exo node NAME …` and POST /exo/v1/nodes/NAME may do. */
export const NODE_ACTIONS = ["rename", "label", "drain", "resume", "exclude", "forget", "takeover"] as const;

/**
 * The same as a user says it of a machine that was named. `forget` of the machine that is asked: it leaves its home. `takeover`, only of
 * the machine that is asked: it leads without a majority, those that vote being gone for good.
 */
export type NodeOrder =
  | { readonly action: "rename"; readonly name: string }
  | { readonly action: "label"; readonly labels: Record<string, string> }
  | { readonly action: Exclude<(typeof NODE_ACTIONS)[number], "rename" | "label"> };

/** The actor `<NodeId>/cluster` of each member. */
export const Cluster = inbox("Cluster", {
  /** Only who leads takes it: a command of the replicated state, as bytes. Answered by `Done` or `Refused`. */
  Propose: { command: t.Uint8Array({ maxByteLength: COMMAND_BYTES_MAX }) },
  /** Only who leads takes it. Answered by `Done` or `Refused`. */
  Change: { change: MemberChange },
  /** The cluster's private key, from who leads to a member that votes and so may lead. */
  Key: { pem: t.String({ maxLength: 1024 }) },
  /** To a machine that is on the list no more, the list being the proof; the link ends after it. */
  Forgotten: { list: MemberList },
});
export type ClusterMessage = InboxMessage<typeof Cluster>;

export const ClusterReply = inbox("ClusterReply", {
  /** A majority holds it. */
  Done: { epoch: Epoch },
  Refused: { problem: ProblemBody },
});
export type ClusterReply = InboxMessage<typeof ClusterReply>;

/** How a node stands to this one. `unpaired` is seen nearby but not a member; `copied`: two machines run with its identity. */
export const NodeState = t.Union([
  t.Literal("self"),
  t.Literal("unpaired"),
  t.Literal("connecting"),
  t.Literal("up"),
  t.Literal("suspect"),
  t.Literal("stuck"),
  t.Literal("copied"),
  t.Literal("away"),
  t.Literal("dead"),
]);
export type NodeState = Static<typeof NodeState>;

/** One line of `exo nodes` and one item of GET /exo/v1/cluster. */
export const NodeView = t.Object({
  node: NodeId,
  name: t.String(),
  version: t.Optional(t.String()),
  state: NodeState,
  /** Of this machine: another one runs with its identity. */
  copied: t.Optional(t.Literal(true)),
  leader: t.Boolean(),
  voter: t.Boolean(),
  drained: t.Boolean(),
  excluded: t.Boolean(),
  labels: t.Record(t.String(), t.String()),
  addresses: t.Array(t.String()),
  facts: t.Optional(NodeFacts),
  /** Milliseconds since it was last heard of; absent for this node itself. */
  silentMs: t.Optional(t.Number()),
});
export type NodeView = Static<typeof NodeView>;
