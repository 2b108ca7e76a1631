/** What one machine is and has, as it tells others and as `exo nodes` shows it. */
import { type Static, Type as t } from "@sinclair/typebox";

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
  /** Part of the processors' time that was busy since the facts before, 0 to 1. */
  busy: t.Optional(t.Number({ minimum: 0, maximum: 1 })),
  power: t.Optional(t.Union([t.Literal("mains"), t.Literal("battery")])),
  thermal: t.Optional(
    t.Union([t.Literal("nominal"), t.Literal("fair"), t.Literal("serious"), t.Literal("critical")]),
  ),
});
export type NodeFacts = Static<typeof NodeFacts>;
