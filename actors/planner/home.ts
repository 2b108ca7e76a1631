/** What planning knows of the machines: plain numbers, each from the machine that measured it. */
import type { BackendWish } from "#protocol/collective";
import type { NodeId } from "#protocol/ids";
import type { HiddenWish } from "#protocol/pass";

/** What one machine computes by itself, measured with a model of the family at hand, or assumed from its facts. */
export interface Speeds {
  /** Weights and caches read while decoding. */
  readonly bytesPerSecond: number;
  /** Multiplications and additions per second of a long prompt. */
  readonly flopsPerSecond: number;
  /** Beginning one layer, whatever is in it. */
  readonly layerMs: number;
  /** What who has the last layer does for each answer of a step besides: sampling, text. */
  readonly stepMs: number;
  /** What a step of 2, 4 and 8 answers takes, as multiples of one of a single answer; absent: what reading and arithmetic allow. */
  readonly together?: readonly number[];
  /** Not measured but assumed: predictions are then no promise. */
  readonly assumed: boolean;
}

export interface Machine {
  readonly node: NodeId;
  readonly name: string;
  /** Free for models now, before any reserve. */
  readonly freeBytes: number;
  /** Of one value of hidden state: 4 on a CPU, 2 on a GPU. */
  readonly activationBytes: number;
  readonly speeds: Speeds;
}

/** One direction between two machines. */
export interface Way {
  /** One way, with what both ends take to send and receive. */
  readonly latencyMs: number;
  readonly bytesPerSecond: number;
  /** Absent where nothing was measured and the medium decides. */
  readonly measured: boolean;
  /** Between the two machines as ranks, where RDMA carries their sums. */
  readonly direct?: Pick<Way, "latencyMs" | "bytesPerSecond">;
}

export interface Home {
  readonly machines: readonly Machine[];
  /** `ways[from][to]`, by place in `machines`; undefined where no link is. */
  readonly ways: readonly (readonly (Way | undefined)[])[];
  /** By what ranks add up; absent: by RDMA where all of them can. */
  readonly sums?: BackendWish;
  /** How hidden state goes from stage to stage; absent: as the machine that sends it computes it. */
  readonly hidden?: HiddenWish;
}

/** What is to be placed, and what it is for. */
export interface Wish {
  /** Tokens of context of each stream, for which there must be memory. */
  readonly context: number;
  /** Answers at once: 1 asks for the least time per token, more for the most tokens in all. */
  readonly streams: number;
  /** Bytes of one kept value of keys or values. */
  readonly kvBytes: number;
  /** Tokens of a usual prompt: its time is predicted, and decoding is at this depth. */
  readonly prompt: number;
  /** Tokens of a prompt computed at once, and where the layers of several machines follow each other. */
  readonly chunk: number;
  readonly chunkStaged: number;
  /** Machines (by place) that must take part. */
  readonly pinned: readonly number[];
  readonly minimumNodes: number;
}

export const DEFAULT_WISH: Wish = {
  context: 8192,
  streams: 1,
  kvBytes: 2,
  prompt: 512,
  chunk: 512,
  chunkStaged: 128,
  pinned: [],
  minimumNodes: 1,
};

/** Bytes of one kept value; q8 has two bytes of scale for each 32 values. */
export const KV_BYTES = { f32: 4, f16: 2, bf16: 2, q8: 34 / 32 } as const;

/** Bytes of one value of hidden state in 8 bits: six bytes beside each 128 values (hidden-8bit.ts of the workers' engine). */
export const HIDDEN_BYTES_IN_8 = 134 / 128;

/** `mixed`: a pipeline of which a tensor group computes at least one stage. `auto` tries all but `ring`, the first exo's rule. */
export const STRATEGIES = ["auto", "single", "pipeline", "tensor", "mixed", "ring"] as const;
export type StrategyWish = (typeof STRATEGIES)[number];
