/** How fast a machine is taken to be before anything was measured on it: by its makers' data sheets, and cautiously. */
import type { NodeFacts } from "#protocol/node";
import type { Speeds } from "./home.ts";

/** Chip or accelerator, 10^9 bytes per second, 10^12 operations per second in 16 bits; the first that matches counts. */
const SHEETS: readonly (readonly [RegExp, number, number])[] = [
  [/\bM1 Ultra\b/, 800, 21],
  [/\bM1 Max\b/, 400, 10.6],
  [/\bM1 Pro\b/, 200, 5.3],
  [/\bM1\b/, 68, 2.6],
  [/\bM2 Ultra\b/, 800, 27],
  [/\bM2 Max\b/, 400, 13.6],
  [/\bM2 Pro\b/, 200, 6.8],
  [/\bM2\b/, 100, 3.6],
  [/\bM3 Ultra\b/, 819, 28],
  [/\bM3 Max\b/, 300, 14],
  [/\bM3 Pro\b/, 150, 7.4],
  [/\bM3\b/, 100, 4.1],
  [/\bM4 Max\b/, 410, 18],
  [/\bM4 Pro\b/, 273, 9.2],
  [/\bM4\b/, 120, 4.3],
  [/\bGB10\b/, 273, 62],
  [/\bRTX 5090\b/, 1792, 200],
  [/\bRTX 4090\b/, 1008, 165],
  [/\bRTX 3090\b/, 936, 71],
];

/** What of a data sheet decoding and prefill reach. */
const [READ_SHARE, WORK_SHARE] = [0.7, 0.4];
/** A processor by itself: what one core reads, what two channels of memory allow at most, and what one core computes. */
const CORE_BYTES = 10e9;
const CPU_BYTES_MAX = 50e9;
const CORE_FLOPS = 60e9;
/** An accelerator that no sheet names. */
const UNKNOWN = [150, 5] as const;
/** Beginning a layer: on a processor it was 0.06 to 0.09 with exo's kernels; an accelerator is given the next while it computes one. */
const [CPU_LAYER_MS, ACCELERATOR_LAYER_MS] = [0.07, 0.03];
const GIGA = 1e9;
const TERA = 1e12;

export function assumedSpeeds({ chip, cores, accelerators }: NodeFacts): Speeds {
  const common = { stepMs: 0.5, assumed: true };
  const [accelerator] = accelerators;
  if (!accelerator) {
    const bytesPerSecond = Math.min(cores * CORE_BYTES, CPU_BYTES_MAX) * READ_SHARE;
    return { ...common, layerMs: CPU_LAYER_MS, bytesPerSecond, flopsPerSecond: cores * CORE_FLOPS };
  }
  const sheet = SHEETS.find(([name]) => name.test(accelerator.name) || name.test(chip));
  const [, read, work] = sheet ?? ["", ...UNKNOWN];
  return {
    ...common,
    layerMs: ACCELERATOR_LAYER_MS,
    bytesPerSecond: read * GIGA * READ_SHARE,
    flopsPerSecond: work * TERA * WORK_SHARE,
  };
}
