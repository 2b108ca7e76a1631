/** Discovery knows who is near: machines that shout in this network, members or not. */
import { type Static, Type as t } from "@sinclair/typebox";
import { NodeId } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";

/** A machine that was heard. Everything but the id is its own word, and shown only. */
export const Neighbour = t.Object({
  node: NodeId,
  name: t.String(),
  version: t.String(),
  addresses: t.Array(t.String()),
  port: t.Integer(),
  pairingPort: t.Integer(),
  /** One may come in there by a code. */
  inviting: t.Optional(t.Literal(true)),
  silentMs: t.Number(),
});
export type Neighbour = Static<typeof Neighbour>;

const endpoints = t.Array(t.String({ maxLength: 80 }), { maxItems: 16 });

export const Discovery = inbox("Discovery", {
  /** Answered by `Neighbours`. */
  List: {},
  /** A member lives: sent to each four times a second. */
  Beat: {},
  /** A member leaves in order, to sleep or to end. */
  Goodbye: {},
  /** Two machines run with the identity of the receiver: the sender links with neither while both do. */
  Copied: {},
  /** The sender misses `node`: who heard of it just now answers with `Heard`. */
  Missed: { node: NodeId },
  Heard: { node: NodeId },
  /** Where the sender can be dialled, `host:port`: said once a link is open. */
  Here: { endpoints },
  /** Where the sender reaches another member: a hint for who does not, whose dial proves it or not. */
  Known: { node: NodeId, endpoints },
});
export type DiscoveryMessage = InboxMessage<typeof Discovery>;

export const DiscoveryReply = inbox("DiscoveryReply", {
  Neighbours: { neighbours: t.Array(Neighbour) },
});
export type DiscoveryReply = InboxMessage<typeof DiscoveryReply>;
