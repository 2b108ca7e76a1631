/** What people and programs see of the home: the member list, how each member is from here, and who else is near. */
import type { Seen } from "#actors/discovery/ports";
import { endpointText } from "#actors/runtime/transport/endpoint";
import type { Member, NodeState, NodeView } from "#protocol/cluster";
import type { Neighbour } from "#protocol/discovery";
import type { NodeId } from "#protocol/ids";
import type { NodeFacts } from "#protocol/node";

export interface Sight {
  readonly self: {
    readonly node: NodeId;
    readonly name: string;
    readonly version: string;
    readonly here: readonly string[];
    readonly isCopied: boolean;
    readonly forgottenBy?: readonly string[];
  };
  readonly members: readonly Member[];
  readonly seen: readonly Seen[];
  readonly leader: NodeId | undefined;
  readonly voters: readonly NodeId[];
  readonly facts: ReadonlyMap<NodeId, NodeFacts>;
  readonly near: readonly Neighbour[];
}

const GONE: readonly NodeState[] = ["dead", "away", "copied"];

/** This machine first, then the other members, then strangers, each by name. */
export function nodeViews(sight: Sight): readonly NodeView[] {
  const { members, seen, near } = sight;
  const peers = new Map(seen.map((peer) => [peer.node, peer]));
  const views = members.map((member) => memberView(member, peers.get(member.node), sight));
  const listed = new Set(members.map(({ node }) => node));
  const strangers = near.filter(({ node }) => !listed.has(node)).map(strangerView);
  const rank = ({ state }: NodeView) => (state === "self" ? 0 : state === "unpaired" ? 2 : 1);
  return [...views, ...strangers].toSorted(
    (a, b) => rank(a) - rank(b) || compare(a.name, b.name) || compare(a.node, b.node),
  );
}

function memberView(
  member: Member,
  peer: Seen | undefined,
  { self, leader, voters, facts }: Sight,
): NodeView {
  const { node, name, labels, drained, excluded, role } = member;
  const known = facts.get(node);
  const own = node === self.node;
  const version = own ? self.version : known?.version;
  const state = own ? "self" : (peer?.state ?? "connecting");
  return {
    node,
    name,
    ...(version !== undefined && { version }),
    state,
    ...(own && self.isCopied && { copied: true }),
    // Who voted for it may not have missed its word yet when its death is known.
    leader: leader === node && !GONE.includes(state),
    voter: voters.includes(node),
    drained,
    excluded,
    ...(role && { role }),
    ...(own && self.forgottenBy && { forgottenBy: [...self.forgottenBy] }),
    labels,
    addresses: own ? [...self.here] : (peer?.endpoints ?? []).map(endpointText),
    ...(known && { facts: known }),
    ...(peer && { silentMs: Math.round(peer.silenceMs) }),
  };
}

const strangerView = ({ node, name, addresses, silentMs, version }: Neighbour): NodeView => ({
  node,
  name,
  version,
  state: "unpaired",
  leader: false,
  voter: false,
  drained: false,
  excluded: false,
  labels: {},
  addresses,
  silentMs: Math.round(silentMs),
});

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
