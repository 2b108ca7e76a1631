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

/** What a machine of the home is for: a `worker` computes, and neither votes nor changes anything about the home. */
export const ROLES = ["full", "worker"] as const;
export type Role = (typeof ROLES)[number];

/** The role of a machine that has less than a full say; absent: it may vote, lead, let others in and change settings. */
export const LimitedRole = t.Literal("worker");

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
  role: t.Optional(LimitedRole),
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

/** Keys that came before the present one: who was away for more changes than these pairs anew. */
export const SUCCESSIONS_MAX = 8;
const Pem = t.String({ maxLength: 4096 });

export const Before = t.Array(
  t.Object({ pem: Pem, proof: t.Uint8Array({ minByteLength: 64, maxByteLength: 64 }) }),
  {
    maxItems: SUCCESSIONS_MAX,
  },
);

/** The key that signs lists and certificates, and by whose word it does. */
export const Authority = t.Object({
  /** Rises by one with each change of the key. */
  number: t.Integer({ minimum: 1, maximum: 2 ** 32 }),
  /** Its certificate, signed by itself. */
  pem: Pem,
  /** Oldest first: the certificates before, and what each one's key signed of its successor. */
  before: Before,
});
export type Authority = Static<typeof Authority>;

/** Instead of a link, to a machine that proved its key: it is on the list no more, or its certificate is of a key before. */
export const Notice = t.Object({
  authority: Authority,
  list: MemberList,
  /** The receiver's new certificate, from who can make one. */
  certificate: t.Optional(Pem),
});
export type Notice = Static<typeof Notice>;
/** The largest home's list, and all certificates. */
export const NOTICE_BYTES_MAX = 256 * 1024;

/** Orders whatever needs a majority: a leader's term and its place in the log. */
export const Epoch = t.Object({ term: t.Integer({ minimum: 0 }), index: t.Integer({ minimum: 0 }) });
export type Epoch = Static<typeof Epoch>;

const name = t.String({ minLength: 1, maxLength: 64 });

const labels = t.Record(t.String({ maxLength: 32 }), t.String({ maxLength: 64 }));

/** What a user does to one machine of the home. Whoever leads makes it a new member list, signs and proposes it. */
export const MemberChange = t.Union([
  t.Object({ type: t.Literal("admit"), key: Key, name, role: t.Optional(LimitedRole) }),
  t.Object({ type: t.Literal("rename"), node: NodeId, name }),
  /** Sets these labels; an empty value takes one away. */
  t.Object({ type: t.Literal("label"), node: NodeId, labels }),
  t.Object({ type: t.Literal("drain"), node: NodeId }),
  t.Object({ type: t.Literal("exclude"), node: NodeId }),
  /** Ends `drain` and `exclude`. */
  t.Object({ type: t.Literal("resume"), node: NodeId }),
  t.Object({ type: t.Literal("forget"), node: NodeId }),
  t.Object({
    type: t.Literal("role"),
    node: NodeId,
    role: t.Union([t.Literal("full"), t.Literal("worker")]),
  }),
  /** The same members, and other keys: that of the cluster, which signs lists and certificates, and that of beacons. */
  t.Object({ type: t.Literal("rotate") }),
]);
export type MemberChange = Static<typeof MemberChange>;

/** What `exo node NAME …` and POST /exo/v1/nodes/NAME may do. */
export const NODE_ACTIONS = [
  "rename",
  "label",
  "drain",
  "resume",
  "exclude",
  "forget",
  "takeover",
  "role",
] as const;

/**
 * The same as a user says it of a machine that was named. `forget` of the machine that is asked: it leaves its home. `takeover`, only of
 * the machine that is asked: it leads without a majority, those that vote being gone for good.
 */
export type NodeOrder =
  | { readonly action: "rename"; readonly name: string }
  | { readonly action: "label"; readonly labels: Record<string, string> }
  | { readonly action: "role"; readonly role: Role }
  | { readonly action: Exclude<(typeof NODE_ACTIONS)[number], "rename" | "label" | "role"> };

/** The actor `<NodeId>/cluster` of each member. */
export const Cluster = inbox("Cluster", {
  /** Only who leads takes it: a command of the replicated state, as bytes. Answered by `Done` or `Refused`. */
  Propose: { command: t.Uint8Array({ maxByteLength: COMMAND_BYTES_MAX }) },
  /** Only who leads takes it; `seen`: the version of the list that who asks knows. Answered by `Done` or `Refused`. */
  Change: { change: MemberChange, seen: t.Optional(t.Integer({ minimum: 0 })) },
  /** Asks a machine that holds the cluster's key for a certificate of the sender, signed by it. Answered by `Certificate` or `Refused`. */
  Certify: {},
  /** To a machine that is on the list no more, the list being the proof; the link ends after it. */
  Forgotten: { list: MemberList, authority: Authority },
});
export type ClusterMessage = InboxMessage<typeof Cluster>;

export const ClusterReply = inbox("ClusterReply", {
  /** A majority holds it. */
  Done: { epoch: Epoch },
  Certificate: { pem: Pem },
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
  /** Absent: a full member, or not paired. */
  role: t.Optional(LimitedRole),
  /** Of this machine alone, until it has others again: those of the home that took it off their list, as they were called. */
  forgottenBy: t.Optional(t.Array(t.String())),
  labels: t.Record(t.String(), t.String()),
  addresses: t.Array(t.String()),
  facts: t.Optional(NodeFacts),
  /** Milliseconds since it was last heard of; absent for this node itself. */
  silentMs: t.Optional(t.Number()),
});
export type NodeView = Static<typeof NodeView>;
