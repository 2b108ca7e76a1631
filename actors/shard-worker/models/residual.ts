/** What goes from layer to layer. */
import type { MxArray } from "#ffi/array";
import type { Norm } from "#ffi/weights";
import type { AttentionMask, Cache } from "../cache/cache.ts";

/** What all layers of one forward pass have in common. */
export interface Pass {
  readonly batch: number;
  readonly length: number;
  /** One for all rows, or with a single token each, every row's own. */
  readonly caches: readonly Cache[];
  readonly mask: AttentionMask;
}

/** Hidden state as the sum of two, which whoever normalises it adds up; `branch` absent: nothing is left to add. */
export interface Residual {
  readonly trunk: MxArray;
  readonly branch?: MxArray;
}

/** A layer, or the half of one that normalises the residual itself. */
export type ResidualBlock = (x: Residual, pass: Pass) => Residual;

export const whole = ({ trunk, branch }: Residual): MxArray => (branch ? trunk.add(branch) : trunk);
export const normOf = (norm: Norm, { trunk, branch }: Residual): readonly [x: MxArray, normed: MxArray] =>
  branch ? norm.ofSum(trunk, branch) : [trunk, norm.of(trunk)];
