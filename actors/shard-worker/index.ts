/** The face of the ShardWorker: its chart with its effects bound, and the way of passes past it. */
import type { Behaviour } from "#actors/runtime/actor";
import type { ShardWorkerMessage } from "#protocol/shard-worker";
import { effects, type Ports } from "./effects.ts";
import type { Host } from "./host.ts";
import { machine } from "./machine.ts";

export const shardWorker = (ports: Ports) => machine.provide(effects(ports));

/** What stages say to each other goes straight to the engine, with its body; everything else is the chart's. */
export function withPasses(
  host: Pick<Host, "pass" | "passFailed">,
  control: Behaviour<ShardWorkerMessage>,
): Behaviour<ShardWorkerMessage> {
  return (received) => {
    const { message, from, body } = received;
    if (message.type === "ShardWorker.Pass") host.pass({ pass: message, from, body });
    else if (message.type === "ShardWorker.PassFailed") host.passFailed(message, from);
    else control(received);
  };
}
