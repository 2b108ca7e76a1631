/** Topology knows what the nodes have and how fast the links between them are. */
import { type Static, Type as t } from "@sinclair/typebox";
import { NodeId } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";
import { LinkFacts, LinkView, NodeFacts } from "./node.ts";

/** As many as a cluster has members. */
const LINKS_MAX = 256;
const count = t.Integer({ minimum: 0 });
const burst = t.String({ minLength: 1, maxLength: 64 });

/** What a node says of itself; a higher version is newer. Nobody else may say it. */
export const NodeRecord = t.Object({
  version: count,
  facts: NodeFacts,
  links: t.Array(LinkFacts, { maxItems: LINKS_MAX }),
});
export type NodeRecord = Static<typeof NodeRecord>;

/** The graph as it is shown: nodes and links ordered by their ids. */
export const GraphView = t.Object({
  nodes: t.Array(t.Object({ node: NodeId, version: count, facts: NodeFacts })),
  links: t.Array(LinkView),
});
export type GraphView = Static<typeof GraphView>;

export const Topology = inbox("Topology", {
  /** The sender's own record: at connect, and when something of it changed, at most each two seconds. */
  Facts: { record: NodeRecord },
  /** Answered by `Pong` with the same number. */
  Ping: { sequence: count },
  Pong: { sequence: count },
  /** May a burst be sent now? Answered by `BurstAllowed` or `BurstRefused`. */
  Burst: { burst },
  /** Before each body of a burst, on a data link. */
  BurstPart: { burst },
  /** All was sent that will be. Answered by `BurstReceived`. */
  BurstEnd: { burst },
  /** Measure your own links anew, as somebody wants to see it. Answered by `Measured`. */
  Measure: {},
  /** Answered by `Graph`. */
  Get: {},
});
export type TopologyMessage = InboxMessage<typeof Topology>;

export const TopologyReply = inbox("TopologyReply", {
  BurstAllowed: {},
  BurstRefused: { reason: t.String({ maxLength: 128 }) },
  /** Bytes that came, and how fast once the stream was running; no rate where too few came to tell. */
  BurstReceived: { bytes: count, bytesPerSecond: t.Optional(t.Number({ minimum: 0 })) },
  Measured: {},
  Graph: { graph: GraphView },
});
export type TopologyReply = InboxMessage<typeof TopologyReply>;
