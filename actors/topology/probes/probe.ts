/** What a platform can tell, grouped by how dear it is to ask. A fact that it does not tell is left out. */
import type { NodeFacts } from "#protocol/node";
import type { ProcessorTime } from "./machine.ts";

export type SomeFacts = Partial<NodeFacts>;

export interface Probe {
  /** Does not change while the machine runs. */
  fixed(): Promise<SomeFacts>;
  /** Under a millisecond: asked every two seconds. */
  quick(): Promise<SomeFacts>;
  /** Busy and total time of the processors so far. */
  time(): ProcessorTime | undefined;
  /** Some milliseconds, as sensors and batteries answer when they like: asked every ten seconds. */
  slow(): Promise<SomeFacts>;
  /** Starts programs that need up to seconds: asked every five minutes. */
  dear(): Promise<SomeFacts>;
}
