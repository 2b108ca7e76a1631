/** Groups of processes that MLX itself adds up over: one backend at a time, by the settings that it finds in its environment. */
import type { MxArray } from "./array.ts";
import { MlxError } from "./call.ts";
import type { mlx_distributed_group, mlx_stream } from "./generated/symbols.ts";
import type { NativeMlx } from "./native.ts";
import type { NativeArray } from "./native-array.ts";

export interface GroupOptions {
  /** As MLX calls it: ring, jaccl, nccl. */
  readonly backend: string;
  /** Variables that the backend reads when the group is made; they are taken away again. */
  readonly settings: Readonly<Record<string, string>>;
  readonly rank: number;
  readonly world: number;
}

/** Whether this library and machine have that backend at all. */
export const hasBackend = ({ native }: NativeMlx, backend: string): boolean =>
  native.distributed_is_available(backend);

/**
 * Ends this process with those words, unless it is called again within so many milliseconds; 0: never. Of MLX's backends none gives up
 * waiting for a rank that is gone.
 */
export const setDeadline = ({ native }: NativeMlx, milliseconds: number, why: string): void =>
  native.exo_deadline(milliseconds, why);

export class MlxGroup {
  readonly #mlx: NativeMlx;
  readonly #world: number;
  /** All but nccl compute on the CPU's stream, wherever the rest is computed; MLX waits between the two. */
  readonly #stream: mlx_stream;
  #group: mlx_distributed_group = 0;

  /** Returns when all ranks have met, or never: under a deadline. Throws MlxError where the backend refuses. */
  constructor(mlx: NativeMlx, { backend, settings, rank, world }: GroupOptions) {
    const { native } = mlx;
    this.#mlx = mlx;
    this.#world = world;
    for (const [name, value] of Object.entries(settings)) native.exo_set_variable(name, value);
    try {
      // What was made before is given again otherwise, whatever the settings are.
      native.exo_forget_groups();
      this.#group = native.distributed_init(true, backend);
    } finally {
      for (const name of Object.keys(settings)) native.exo_set_variable(name, "");
    }
    const own = native.distributed_group_rank(this.#group);
    const ranks = native.distributed_group_size(this.#group);
    this.#stream = backend === "nccl" ? mlx.stream : native.default_cpu_stream_new();
    if (own === rank && ranks === world) return;
    this.close();
    throw new MlxError(
      backend,
      [],
      `rank ${own} of ${ranks} came of what should be rank ${rank} of ${world}`,
    );
  }

  /** The sum of all ranks' parts, once it is evaluated: by all ranks, in one order. */
  sum(part: MxArray): MxArray {
    const { native } = this.#mlx;
    return this.#mlx.adopt(native.distributed_all_sum(used(part), this.#group, this.#stream));
  }

  /** All ranks' parts one behind the other along the last axis, in the same way. */
  gather(part: MxArray): MxArray {
    const { native } = this.#mlx;
    const width = part.shape.at(-1) ?? 1;
    const outer = part.shape.slice(0, -1);
    const rows = outer.reduce((product, length) => product * length, 1);
    const flat = part.reshape(rows, width);
    // MLX puts them one behind the other along the first axis.
    const all = this.#mlx.adopt(native.distributed_all_gather(used(flat), this.#group, this.#stream));
    const side = all.reshape(this.#world, rows, width).transpose(1, 0, 2);
    return side.reshape(...outer, this.#world * width);
  }

  /** Its arrays must have been evaluated. */
  close(): void {
    if (this.#group === 0) return;
    this.#mlx.native.distributed_group_free(this.#group);
    this.#group = 0;
    this.#mlx.native.exo_forget_groups();
  }
}

const used = (array: MxArray) => (array as NativeArray).used();
