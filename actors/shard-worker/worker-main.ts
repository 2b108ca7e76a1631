/** The shard worker's process: one actor, one link to the parent, and the one thread that calls MLX. */
import { chartBehaviour } from "#actors/runtime/chart";
import { systemClock } from "#actors/runtime/clock";
import { ActorSystem } from "#actors/runtime/system";
import { telling } from "#actors/runtime/telling";
import { CHILD_FD, ChildLink } from "#actors/runtime/transport/child";
import { ProtocolError } from "#protocol/message";
import { Problem } from "#protocol/problem";
import { createHost } from "./host.ts";
import { shardWorker, withPasses } from "./index.ts";
import { RankLink } from "./ranks/rank-link.ts";
import { Watching } from "./watching.ts";

/** Exit status of a worker whose parent went away or spoke nonsense, or which failed to hear it. */
const LINK_LOST = 70;

/**
 * Serves until the parent goes. `node` is this worker's name in addresses, `parent` the parent's, `libraryFolder` holds
 * the native library. It must be the main thread of its process: every MLX call of the process is made here.
 */
export function runShardWorker(node: string, parent: string, libraryFolder: string): void {
  const system = new ActorSystem(node, systemClock);
  const ended = (error?: Error) => {
    // What the last line says is what the parent tells of.
    if (error && !(error instanceof ProtocolError || error instanceof Problem)) console.error(error.stack);
    if (error) console.error(error.message);
    process.exit(LINK_LOST);
  };
  const rankLink = new RankLink(new ChildLink(CHILD_FD, { ended, stays: true }));
  system.connectParent(parent, rankLink);
  const self = system.address("shard-worker");
  const crash = (error: unknown) => {
    console.error(error);
    process.exit(1);
  };
  const tell = telling(system, self);
  const host = createHost({ libraryFolder, clock: systemClock, crash, tell, rankLink });
  const watching = new Watching({ system, self, parent, host });
  const chart = shardWorker({
    engine: host,
    tell: watching.told(tell),
    joined: (group) => watching.joined(group),
  });
  const control = chartBehaviour(chart, crash, { trace: system.trace, address: self });
  system.spawn("shard-worker", watching.over(withPasses(host, control)), { onCrash: crash });
}
