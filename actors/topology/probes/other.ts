/** What the runtime itself tells on systems that no probe here knows. */
import type { Machine } from "./machine.ts";
import type { Probe } from "./probe.ts";

export const plainProbe = (machine: Machine): Probe => ({
  fixed: async () => ({}),
  quick: async () => ({ freeBytes: machine.freeBytes() }),
  time: () => machine.processors().time,
  slow: async () => ({}),
  dear: async () => ({}),
});
