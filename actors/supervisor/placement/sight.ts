/** How this machine sees the others, for what has no time to ask: as of the last look, which is taken whenever something changes. */

import type { Clock } from "#actors/runtime/clock";
import { crashOf } from "#actors/runtime/part";
import type { NodeState, NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { Cluster } from "../cluster/ports.ts";

export interface Sight {
  look(): void;
  stop(): void;
  onChange(run: () => void): void;
  isUp(node: NodeId): boolean;
  nameOf(node: NodeId): string;
}

/**
 * With a link, or without one for a moment. Whoever is silent may go on where it was; a machine that was never heard since this one
 * started ("connecting") holds nothing that this one could reach.
 */
const THERE: ReadonlySet<NodeState> = new Set(["self", "up", "suspect", "stuck"]);

/** A look that came to nothing, as discovery is busy or begins anew, is taken again. */
const AGAIN_MS = 1_000;

export function sightOf(cluster: Pick<Cluster, "nodes">, clock: Clock): Sight {
  let views: readonly NodeView[] = [];
  let tell = () => {};
  let cancel = () => {};
  let isOver = false;
  const look = () => {
    cancel();
    const again = () => {
      if (!isOver) cancel = clock.after(AGAIN_MS, look);
    };
    const seen = (found: readonly NodeView[]) => {
      views = found;
      tell();
    };
    void cluster.nodes().then(seen, again).catch(crashOf(clock));
  };
  return {
    look,
    stop() {
      isOver = true;
      cancel();
    },
    onChange(run: () => void) {
      tell = run;
    },
    isUp: (node: NodeId) => {
      const state = views.find((each) => each.node === node)?.state;
      return state !== undefined && THERE.has(state);
    },
    nameOf: (node: NodeId) => views.find((each) => each.node === node)?.name ?? node.slice(0, 8),
  };
}
