/** What a report says of the machine, the programs and the target it was measured with. */
import { type Static, Type as t } from "@sinclair/typebox";
import type { Frozen } from "./frozen.ts";

export const TargetFacts = t.Object({
  url: t.String(),
  kind: t.Union([t.Literal("in process"), t.Literal("daemon"), t.Literal("url")], {
    description:
      "in process: a node of the measuring process; daemon: an exo found on this machine; url: named by the user",
  }),
  api: t.String(),
  promptsBy: t.Union([t.Literal("token ids"), t.Literal("words")]),
  exactLengths: t.String(),
  version: t.Optional(t.String({ description: "what its exo says of itself, where it is one" })),
});
export type TargetFacts = Frozen<Static<typeof TargetFacts>>;

const Machine = {
  bun: t.String(),
  os: t.String(),
  arch: t.String(),
  cpu: t.String(),
  logicalCores: t.Integer(),
  physicalCores: t.Optional(t.Integer()),
  coresAllowed: t.Optional(t.Number({ description: "of a container's limit" })),
  memoryBytes: t.Number(),
  freeMemoryBytes: t.Number(),
  swapUsedBytes: t.Optional(t.Number()),
  loadAverage: t.Number({ description: "of the last minute, before the first request" }),
  power: t.Optional(t.Union([t.Literal("mains"), t.Literal("battery")])),
  governor: t.Optional(t.String()),
  platformProfile: t.Optional(t.String({ description: "low-power is the firmware's mode for saving" })),
  hottestCelsius: t.Optional(t.Number({ description: "of the thermal zones, before the first request" })),
  throttledTimes: t.Optional(t.Integer({ description: "since the machine started, of all cores" })),
  gpus: t.Optional(t.Array(t.String(), { description: "graphics processors that the system lists" })),
  energySource: t.Optional(t.String({ description: "whose joules the runs have" })),
};

const MachineFacts = t.Object(Machine);
/** Of the machine that runs the client; a target named by URL may be another one. */
export type MachineFacts = Frozen<Static<typeof MachineFacts>>;

export const Environment = t.Object({
  exo: t.Object({ version: t.String(), commit: t.String() }),
  ...Machine,
  target: TargetFacts,
  kernels: t.Optional(
    t.String({ description: "EXO_CPU_KERNELS where it was set and the engine is of the measuring exo" }),
  ),
  threads: t.Optional(t.String({ description: "EXO_THREADS, likewise" })),
  configHash: t.String({ description: "SHA-256 of what the config or the flags ask to be measured" }),
});
export type Environment = Frozen<Static<typeof Environment>>;
