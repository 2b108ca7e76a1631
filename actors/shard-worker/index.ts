/** The face of the ShardWorker: its chart with its effects bound. */
import { effects, type Ports } from "./effects.ts";
import { machine } from "./machine.ts";

export const shardWorker = (ports: Ports) => machine.provide(effects(ports));
