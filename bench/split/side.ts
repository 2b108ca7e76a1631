/** Who takes part in bench/figures/split.ts: programs that have a model on two machines of one core each. */
import type { Answering } from "../peers-side.ts";

/** What it was started with ends with the stack that it was opened on. */
export interface SplitSide extends Pick<Answering, "version" | "run"> {
  readonly of: "exo" | "llama.cpp RPC";
  /** In words: each competes with the best of its own. */
  readonly setting: string;
  /** It has the same layers on each machine as exo's pipeline. */
  readonly isSameSplit: boolean;
}

/** Which layers are on which machine. */
export interface Cut {
  /** Layers of the first machine, and of all. */
  readonly cut: number;
  readonly layers: number;
}

/** How exo shares a model out: layers as llama.cpp's servers have them, or a part of every layer. */
export type Strategy = "pipeline" | "tensor";
