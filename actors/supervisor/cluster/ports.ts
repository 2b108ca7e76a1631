/** What the rest of a node may ask of its part in a cluster. */
import type { Lane, Link } from "#actors/runtime/transport/network";
import type { Epoch, MemberChange, NodeView } from "#protocol/cluster";
import type { Neighbour } from "#protocol/discovery";
import type { NodeId } from "#protocol/ids";
import type { NodeFacts } from "#protocol/node";
import type { Admission } from "./admission.ts";
import type { Agreed } from "./agreed.ts";

export interface Cluster extends Admission {
  readonly self: NodeId;
  /** The TCP port that members dial; undefined while there are none. */
  readonly port: number | undefined;
  /** This machine first. */
  nodes(): Promise<readonly NodeView[]>;
  near(): Promise<readonly Neighbour[]>;
  /** Calls back, soon and once for many, when what `nodes` shows is another; the returned function ends that. */
  changed(run: () => void): () => void;
  /** Whoever leads makes it; resolves when a majority agreed. Throws Problem. */
  change(change: MemberChange): Promise<Epoch>;
  /** Replicated to all members; without a value it goes back to its default. */
  set(name: string, value?: string): Promise<Epoch>;
  /** As of now. */
  readonly agreed: Agreed;
  readonly settings: Readonly<Record<string, string>>;
  /** Leads without a majority, when those that vote are gone for good. Throws Problem `forbidden` while one of them is up. */
  takeOver(): void;
  /** Forgets its home, and begins one of its own; the others are told by `change` before, or not at all. */
  leave(): Promise<void>;
  /** What a member says of itself, for `nodes`. */
  learnFacts(node: NodeId, facts: NodeFacts): void;
  /** Members with an open control link. */
  readonly linked: readonly NodeId[];
  /** The open control link of a member. */
  link(node: NodeId): Link | undefined;
  isMember(node: NodeId): boolean;
  /** Opens a link of its own to a member. Throws Problem. */
  dial(node: NodeId, lane: Exclude<Lane, "control">, signal: AbortSignal): Promise<Link>;
  /** Takes the links of a lane that members open; without a taker they are closed. */
  onLane(lane: Exclude<Lane, "control">, take: (link: Link) => void): void;
  stop(): Promise<void>;
}
