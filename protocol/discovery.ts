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
  silentMs: t.Number(),
});
export type Neighbour = Static<typeof Neighbour>;

export const Discovery = inbox("Discovery", {
  /** Answered by `Neighbours`. */
  List: {},
  /** A member lives: sent to each four times a second. */
  Beat: {},
  /** A member leaves in order, to sleep or to end. */
  Goodbye: {},
});
export type DiscoveryMessage = InboxMessage<typeof Discovery>;

export const DiscoveryReply = inbox("DiscoveryReply", {
  Neighbours: { neighbours: t.Array(Neighbour) },
});
export type DiscoveryReply = InboxMessage<typeof DiscoveryReply>;
