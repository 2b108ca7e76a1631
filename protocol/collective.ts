/** How ranks of a model add up their parts: what users may ask for, and what each rank is told of it. */
import { type Static, Type as t } from "@sinclair/typebox";

/**
 * `ring`: over exo's own encrypted links, on any machines. `jaccl`: MLX's, by RDMA along Thunderbolt cables between Macs. `nccl`: MLX's,
 * between CUDA devices.
 */
export const BACKENDS = ["ring", "jaccl", "nccl"] as const;
export const Backend = t.Union([t.Literal("ring"), t.Literal("jaccl"), t.Literal("nccl")]);
export type Backend = Static<typeof Backend>;

/** `auto`: the fastest that all of the ranks can. */
export const BACKEND_WISHES = ["auto", ...BACKENDS] as const;
export const BackendWish = t.Union([t.Literal("auto"), Backend]);
export type BackendWish = Static<typeof BackendWish>;

/** A mesh of RDMA joins no more (MESH_MAX_PEERS of MLX's mesh_impl.h). */
export const MESH_MAX = 8;

/** By rank: the name of this rank's RDMA device on the cable to that one, null for itself. */
export const Devices = t.Array(t.Union([t.String({ minLength: 1, maxLength: 32 }), t.Null()]), {
  minItems: 2,
  maxItems: MESH_MAX,
});

/** An IPv4 address of the first rank's machine, by which the others meet it once, to tell each other of their devices. */
export const MeetingHost = t.String({ minLength: 1, maxLength: 15 });

/** Of one rank, where MLX adds up; absent: exo's own links carry the parts. */
export const RankWay = t.Object({ backend: t.Literal("jaccl"), devices: Devices, host: MeetingHost });
export type RankWay = Static<typeof RankWay>;

/** Of all ranks of a group, in their order. */
export const GroupWay = t.Object({
  backend: t.Literal("jaccl"),
  devices: t.Array(Devices, { minItems: 2, maxItems: MESH_MAX }),
  host: MeetingHost,
});
export type GroupWay = Static<typeof GroupWay>;
