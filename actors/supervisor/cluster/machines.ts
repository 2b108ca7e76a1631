/** What this node and its peers have, kept in step with the cluster's links. */

import type { ActorSystem } from "#actors/runtime/system";
import type { Link } from "#actors/runtime/transport/network";
import { type TopologyFace, type TopologyOptions, topology } from "#actors/topology/index";
import type { NodeId } from "#protocol/ids";
import type { LinkView } from "#protocol/node";
import type { Cluster } from "./ports.ts";

export interface Machines {
  readonly links: readonly LinkView[];
  /** Resolves when every link was measured anew, as far as no machine works. */
  measure(): Promise<void>;
  stop(): void;
}

export type MachinesOptions = Pick<
  TopologyOptions,
  "machine" | "name" | "version" | "modelsFolder" | "busy" | "speeds"
>;

export function openMachines(system: ActorSystem, cluster: Cluster, options: MachinesOptions): Machines {
  const face = topology(system, {
    ...options,
    self: cluster.self,
    openData: (node, signal) => cluster.dial(node, "data", signal),
    changed: (node, facts) => cluster.learnFacts(node, facts),
  });
  cluster.onLane("data", (link) => {
    if (!face.expects(link.peer.node)) return link.close();
    link.onBody = (envelope, bytes) => {
      if (!face.body(envelope, bytes)) link.close();
    };
  });
  const follow = follower(cluster, face);
  const end = cluster.changed(follow);
  follow();
  return {
    get links() {
      return face.graph().links;
    },
    measure: () => face.measure(),
    stop() {
      end();
      face.stop();
    },
  };
}

/** Tells Topology of links that opened and closed since the last call, and of members that are none any more. */
function follower(cluster: Cluster, face: TopologyFace): () => void {
  const open = new Map<NodeId, Link>();
  const met = new Set<NodeId>();
  const closed = () => [...open].filter(([node, link]) => cluster.link(node) !== link);
  const strangers = () => [...met].filter((node) => !cluster.isMember(node));
  const opened = () => cluster.linked.filter((node) => !open.has(node));
  return () => {
    for (const [node] of closed()) {
      open.delete(node);
      face.linkDown(node);
    }
    for (const node of strangers()) {
      met.delete(node);
      face.forget(node);
    }
    for (const node of opened()) {
      const link = cluster.link(node);
      if (!link) continue;
      open.set(node, link);
      met.add(node);
      face.linkUp(link);
    }
  };
}
