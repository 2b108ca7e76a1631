/** How a machine comes into a home: what is asked of the Pairing actor, and what the two machines say to each other. */
import { type Static, Type as t } from "@sinclair/typebox";
import { Before, LimitedRole, MemberList } from "./cluster.ts";
import { ClusterId, NodeId } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";
import { ProblemBody } from "./problem.ts";

const name = t.String({ maxLength: 64 });
const base64 = (maxLength: number) => t.String({ maxLength, pattern: "^[A-Za-z0-9_-]+$" });
const pem = t.String({ maxLength: 4096 });

/** What a new member keeps of its cluster: everything but the cluster's key. */
export const Admitted = t.Object({
  cluster: ClusterId,
  clusterPem: pem,
  clusterNumber: t.Optional(t.Integer({ minimum: 1, maximum: 2 ** 32 })),
  /** The keys before, by which an older state is known as this cluster's. */
  clusterBefore: t.Optional(Before),
  nodePem: pem,
  members: MemberList,
  /** How many takeovers came before this list; absent: none. */
  history: t.Optional(t.Integer({ minimum: 0 })),
  /** How much was final when it was let in: it votes when its log is as long. Absent: in a home of an early version. */
  since: t.Optional(t.Integer({ minimum: 0 })),
  discoveryKeys: t.Array(
    t.Object({
      number: t.Integer({ minimum: 1, maximum: 2 ** 32 }),
      secret: t.Uint8Array({ minByteLength: 32, maxByteLength: 32 }),
    }),
    { minItems: 1, maxItems: 4 },
  ),
  addresses: t.Record(t.String({ maxLength: 64 }), t.Array(t.String({ maxLength: 64 }), { maxItems: 16 })),
});
export type Admitted = Static<typeof Admitted>;

/** Why an invite takes nobody (more), or this one not. */
export const Refusal = t.Union([
  t.Literal("used"),
  t.Literal("expired"),
  t.Literal("closed"),
  t.Literal("busy"),
  t.Literal("noInvite"),
  t.Literal("noSecret"),
  t.Literal("wrongCode"),
]);
export type Refusal = Static<typeof Refusal>;

/** From the machine that wants in. `Apply` and `Adopted` are sealed with what the proof gave. */
export const Applicant = inbox("Applicant", {
  /** `proof`: what the code is; a home's shared secret, or an invite's. */
  Hello: {
    minor: t.Integer({ minimum: 0 }),
    by: t.Union([t.Literal("code"), t.Literal("secret")]),
    request: base64(512),
  },
  Prove: { proof: base64(512) },
  /** `alone`: it has no others it belongs to. */
  Apply: {
    key: t.Uint8Array({ minByteLength: 32, maxByteLength: 32 }),
    name,
    port: t.Integer({ minimum: 0, maximum: 65535 }),
    alone: t.Boolean(),
  },
  Adopted: {},
});
export type Applicant = InboxMessage<typeof Applicant>;

/** From the machine that lets in. All but `Challenge` and the refusals before a proof are sealed. */
export const Host = inbox("Host", {
  /** `triesLeft` counts from after this one, if it fails. */
  Challenge: { response: base64(1024), triesLeft: t.Optional(t.Integer({ minimum: 0 })) },
  Refused: { reason: Refusal, triesLeft: t.Optional(t.Integer({ minimum: 0 })) },
  /** The proof was good; both now know whom they speak with. */
  Welcome: { node: NodeId, name },
  Failed: { problem: ProblemBody },
  /** `port`: where the host listens for members, 0 where it does not know. */
  Admitted: { record: Admitted, port: t.Integer({ minimum: 0, maximum: 65535 }) },
});
export type Host = InboxMessage<typeof Host>;

/** How an invite ended, or that it has not. `tried` are codes that were wrong. */
export const InviteState = t.Object({
  state: t.Union([
    t.Literal("open"),
    t.Literal("used"),
    t.Literal("expired"),
    t.Literal("closed"),
    t.Literal("none"),
  ]),
  triesLeft: t.Integer(),
  leftMs: t.Number(),
  /** Who came in by it. */
  joined: t.Optional(t.Object({ node: NodeId, name: t.String() })),
  /** What went wrong last, in a sentence. */
  trouble: t.Optional(t.String()),
});
export type InviteState = Static<typeof InviteState>;

/** Of whoever comes in by an invite, where it is not a full member. */
export type InviteRole = Static<typeof LimitedRole>;

/** What the Pairing actor accepts. */
export const Pairing = inbox("Pairing", {
  /** Opens an invite; one that was open ends. `role`: of whoever comes in by it; absent: a full member. */
  Invite: { ttlMs: t.Number({ minimum: 1 }), role: t.Optional(LimitedRole) },
  /**
   * Answered at once when the state differs from `seen`, else when it changes or after a while. `code`: only of the invite with it,
   * which is closed once another took its place.
   */
  Watch: { seen: t.Optional(t.String()), code: t.Optional(t.String()) },
  Close: { code: t.Optional(t.String()) },
  /** `at`: `host:port`, or a machine's name, where the code's own hints and discovery do not suffice. */
  Join: {
    code: t.String({ maxLength: 1024 }),
    at: t.Optional(t.String({ maxLength: 256 })),
    name: t.Optional(name),
  },
});
export type PairingMessage = InboxMessage<typeof Pairing>;

export const PairingReply = inbox("PairingReply", {
  Invited: { code: t.String(), long: t.String(), port: t.Integer(), ttlMs: t.Number(), tries: t.Integer() },
  Invite: { invite: InviteState, seen: t.String() },
  Joined: { node: NodeId, name: t.String(), as: t.String() },
  Refused: { problem: ProblemBody },
});
export type PairingReply = InboxMessage<typeof PairingReply>;
