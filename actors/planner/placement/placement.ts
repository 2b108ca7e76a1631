/** Who holds what. */

/** Layers from `start` to `end` on one machine, or shared by several as tensor ranks; machines by their place in the home. */
export interface Stage {
  readonly machines: readonly number[];
  readonly start: number;
  readonly end: number;
}

/** In the order of the layers. */
export type Placement = readonly Stage[];

export type Strategy = "single" | "pipeline" | "tensor" | "tensor in pipeline";

export function strategyOf(placement: Placement): Strategy {
  const grouped = placement.some(({ machines }) => machines.length > 1);
  if (placement.length === 1) return grouped ? "tensor" : "single";
  return grouped ? "tensor in pipeline" : "pipeline";
}

export const machinesOf = (placement: Placement): readonly number[] =>
  placement.flatMap(({ machines }) => machines);

/** Beside the bits of machines, of which fewer take part in a search: a group is among those used. */
export const GROUPED = 1 << 30;

export const bitsOf = (machines: readonly number[]): number =>
  machines.reduce((bits, machine) => bits | (1 << machine), 0);

export function countBits(bits: number): number {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count++;
  return count;
}
