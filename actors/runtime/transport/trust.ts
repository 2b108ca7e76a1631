/** What a node's links are made with, and whom it gives one. */
import type { X509Certificate } from "node:crypto";
import type { Notice } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { Certificates } from "./tls-settings.ts";

/** What a node believes now; asked anew for each connection, so that a revoked key is refused at once. */
export interface Trust extends Certificates {
  isMember(node: NodeId): boolean;
  /** Whether a member's certificate opens no link any more, being of a key before. */
  isOutdated?(certificate: X509Certificate): boolean;
  /** What a machine hears that proved its key and gets no link, or asked. */
  notice?(node: NodeId): Promise<Notice>;
  /** A member said so instead of opening a link; not to be believed without its proofs. */
  noticed?(notice: Notice): void;
  /** What a member hears whose own notice is older: it gives this node no link, as it was away when this node came. */
  newer?(node: NodeId, notice: Notice): Promise<Notice> | undefined;
  /** The machine with that key is there, and neither side knows the key by which the other is a member. */
  estranged?(node: NodeId): void;
  /** Members may not speak an older minor version than this. */
  readonly minimumMinor: number;
}
