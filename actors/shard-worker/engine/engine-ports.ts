/** What the token loop is given. */
import type { Mlx } from "#ffi/array";
import type { Sampling } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import type { KvQuant } from "#protocol/shard";
import type { Model } from "../models/model.ts";
import type { Passes } from "../sampling/passes.ts";
import type { Computer } from "./computer.ts";
import type { Limits } from "./limits.ts";
import type { Paces } from "./paces.ts";
import type { TextPort } from "./text-port.ts";

export interface EnginePorts {
  readonly mlx: Mlx;
  /** All layers of a model: embedding, blocks and head; with a `computer` of several machines, the last of them. */
  readonly model: Model;
  readonly text: TextPort;
  readonly clock: { nowMs(): number };
  /** The model's own sampling, for what a request leaves out. */
  readonly defaults?: Sampling;
  readonly limits?: Partial<Limits>;
  /** By whom the passes over the vocabulary are made; by the host where not said. */
  readonly passes?: Passes;
  /** Memory that may still be taken; without bound where not said. */
  readonly freeBytes?: () => number;
  /** How keys and values are kept; absent: in what is computed in. */
  readonly kvQuant?: KvQuant;
  /** Absent: the layers here. */
  readonly computer?: Computer | undefined;
  /** Requests that decode by themselves: it is not known yet which of them the epoch before ended of. */
  readonly alone?: readonly RequestId[] | undefined;
  /** Where the times of steps here are kept. */
  readonly paces?: Paces;
}
