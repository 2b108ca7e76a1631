/** What one machine is and has, as it tells others and as `exo nodes` shows it. */
import { type Static, Type as t } from "@sinclair/typebox";
import { NodeId } from "./ids.ts";
import { MeasuredSpeeds, SPEEDS_MAX } from "./speeds.ts";

/** Letters of a machine's name, as a schema counts them: UTF-16 units. */
export const NAME_MAX = 64;

/**
 * Text that can go to terminals and pages as it is, whatever machine it comes from: without control characters, marks that turn
 * the direction of writing, and line breaks; `most` UTF-16 units, no sign cut in the middle. Empty when nothing is left.
 */
export function plainName(text: string, most: number = NAME_MAX): string {
  let plain = "";
  for (const sign of text.replaceAll(/[\p{C}\p{Z}]+/gu, " ").trimStart()) {
    if (plain.length + sign.length > most) break;
    plain += sign;
  }
  return plain.trimEnd();
}

/** Names come from other machines: short, so that a table of them stays a table. */
const name = (maxLength: number) => t.String({ maxLength });
const bytes = t.Integer({ minimum: 0 });

/** Something besides the processor that computes. */
export const Accelerator = t.Object({
  kind: t.Union([t.Literal("metal"), t.Literal("cuda")]),
  name: name(128),
  memoryBytes: bytes,
  freeBytes: t.Optional(bytes),
});
export type Accelerator = Static<typeof Accelerator>;

export const Medium = t.Union([
  t.Literal("loopback"),
  t.Literal("thunderbolt"),
  t.Literal("infiniband"),
  t.Literal("ethernet"),
  t.Literal("wifi"),
  t.Literal("tunnel"),
  t.Literal("unknown"),
]);
export type Medium = Static<typeof Medium>;

/** One network interface that is up. `speedMbps` is what the hardware negotiated, where the system tells. */
export const Interface = t.Object({
  name: name(32),
  medium: Medium,
  speedMbps: t.Optional(t.Number({ minimum: 0 })),
  addresses: t.Array(name(64), { maxItems: 16 }),
});
export type Interface = Static<typeof Interface>;

/** RDMA over Thunderbolt or InfiniBand: whether it could carry collectives, and if not, why. */
export const RdmaState = t.Union([t.Literal("none"), t.Literal("disabled"), t.Literal("ready")]);
export type RdmaState = Static<typeof RdmaState>;

/** One Thunderbolt socket. Two machines share a cable where the one's `peerDomain` is the other's `domain`. */
export const ThunderboltPort = t.Object({
  name: name(32),
  domain: name(64),
  peerDomain: t.Optional(name(64)),
  speedMbps: t.Optional(t.Number({ minimum: 0 })),
  rdmaDevice: t.Optional(name(32)),
});
export type ThunderboltPort = Static<typeof ThunderboltPort>;

/**
 * Ways of sharing a model that were added later than others, as this build knows them: stages of a pipeline that ranks share, and ranks that
 * hold a key-value head which others hold too.
 */
export const PLACEMENTS = ["sharedStages", "sharedHeads"] as const;

/** Facts about a node, measured by itself. Bytes and counts are whole numbers; a fact the system does not tell is left out. */
export const NodeFacts = t.Object({
  name: name(64),
  version: name(32),
  os: name(64),
  arch: name(16),
  chip: name(128),
  cores: t.Integer({ minimum: 1, maximum: 4096 }),
  memoryBytes: bytes,
  freeBytes: bytes,
  diskFreeBytes: t.Optional(bytes),
  accelerators: t.Array(Accelerator, { maxItems: 16 }),
  interfaces: t.Array(Interface, { maxItems: 32 }),
  rdma: RdmaState,
  thunderbolt: t.Optional(t.Array(ThunderboltPort, { maxItems: 16 })),
  /** MLX's own ways to add up that its build of exo has, by name; absent: none, as of every build so far. */
  collectives: t.Optional(t.Array(name(16), { maxItems: 8 })),
  /** PLACEMENTS of its build: all machines of a home have to know what its log names. */
  placements: t.Optional(t.Array(name(16), { maxItems: 8 })),
  /** How its build of exo can send and take hidden state but as it is computed, by name; absent: not otherwise. */
  hidden: t.Optional(t.Array(name(16), { maxItems: 8 })),
  /** Part of the processors' time that was busy since the facts before, 0 to 1. */
  busy: t.Optional(t.Number({ minimum: 0, maximum: 1 })),
  power: t.Optional(t.Union([t.Literal("mains"), t.Literal("battery")])),
  thermal: t.Optional(
    t.Union([t.Literal("nominal"), t.Literal("fair"), t.Literal("serious"), t.Literal("critical")]),
  ),
  /** Of models that it has computed; the newest first. */
  speeds: t.Optional(t.Array(MeasuredSpeeds, { maxItems: SPEEDS_MAX })),
});
export type NodeFacts = Static<typeof NodeFacts>;

/** What one node knows of its way to another: directed, measured by the sender. */
export const LinkFacts = t.Object({
  to: NodeId,
  /** Of the sender's own interface. */
  medium: Medium,
  interface: t.Optional(name(32)),
  /** Median round trip of small messages over the last minute. */
  latencyMs: t.Optional(t.Number({ minimum: 0 })),
  /** What a short burst reached, one way. */
  bytesPerSecond: t.Optional(t.Number({ minimum: 0 })),
  /** When the burst was: seconds since 1970 by the sender's clock, for display only. */
  measuredAt: t.Optional(t.Integer({ minimum: 0 })),
});
export type LinkFacts = Static<typeof LinkFacts>;

/** One item of GET /exo/v1/links. */
export const LinkView = t.Composite([t.Object({ from: NodeId, rdma: RdmaState }), LinkFacts]);
export type LinkView = Static<typeof LinkView>;
