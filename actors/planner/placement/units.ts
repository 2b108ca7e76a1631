/** Machines and tensor groups as the search takes them: prefix sums of time and of memory over the layers. */
import type { ModelShape } from "#protocol/model-shape";
import { layerTimes, type Step } from "../cost.ts";
import type { Home, Wish } from "../home.ts";
import { kvBytes, layerBytes, usableBytes, workBytes } from "../memory-estimate.ts";

/** A machine, or a tensor group that acts as one. */
export interface Unit {
  readonly machines: readonly number[];
  /** Milliseconds of the layers before each: `times[end] - times[start]`. */
  readonly times: Float64Array;
  /** The same of bytes in each member's memory. */
  readonly bytes: Float64Array;
  /** Bytes that the tightest member has for those. */
  readonly room: number;
  /** Saved by who has both ends of a tied model. */
  readonly savedWhole: number;
}

export function unitOf(
  model: ModelShape,
  home: Home,
  wish: Wish,
  { machines, step }: { readonly machines: readonly number[]; readonly step: Step },
): Unit {
  const { layers, embeddingBytes, headBytes, tied } = model;
  const ranks = machines.length;
  const each = layerTimes(model, home, wish, { machines, step });
  const times = new Float64Array(layers.length + 1);
  const bytes = new Float64Array(layers.length + 1);
  for (const [at, layer] of layers.entries()) {
    const ends = (at === 0 ? embeddingBytes : 0) + (at === layers.length - 1 ? headBytes : 0);
    times[at + 1] = (times[at] ?? 0) + (each[at] ?? 0);
    bytes[at + 1] =
      (bytes[at] ?? 0) + layerBytes(model, layer, ranks) + kvBytes(model, layer, wish, ranks) + ends;
  }
  return {
    machines,
    times,
    bytes,
    room: Math.min(...machines.map((at) => roomOn(model, home, wish, { at, ranks }))),
    savedWhole: tied ? embeddingBytes : 0,
  };
}

/** What a machine has for weights, keys and values. */
export function roomOn(
  model: ModelShape,
  home: Home,
  wish: Wish,
  { at, ranks }: { readonly at: number; readonly ranks: number },
): number {
  const machine = home.machines[at];
  return machine ? usableBytes(machine) - workBytes(model, wish, machine.activationBytes, ranks) : 0;
}
