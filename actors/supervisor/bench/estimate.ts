/** How long a benchmark will take, before anything is known of the target's speed. */
import type { Length } from "./bench-config.ts";
import { type Cell, loadLabel, shape } from "./grid.ts";

export interface PlannedCell {
  readonly scenario: string;
  readonly model: string;
  readonly placement?: string;
  readonly shape: string;
  readonly load: string;
  readonly repeat: number;
  /** Of one run; undefined where the file or the sweep decides. */
  readonly requests?: number;
  readonly seconds: number;
}

/** Speeds assumed where nothing is known: a small model on a laptop's CPU. */
export const ASSUMED = { prefillTps: 400, decodeTps: 50 };

export function planOf(
  cells: readonly Cell[],
  speeds: { prefillTps: number; decodeTps: number },
): readonly PlannedCell[] {
  return cells.map((cell) => {
    const { scenario, load } = cell;
    const oneSeconds =
      (meanOf(cell.prompt) + cell.fill) / speeds.prefillTps + meanOf(cell.output) / speeds.decodeTps;
    const runSeconds = secondsOf(cell, oneSeconds);
    const requests = "requests" in load ? load.requests : undefined;
    const whole = scenario.repeat * (runSeconds + scenario.cooldownMs / 1000) + scenario.warmup * oneSeconds;
    return {
      scenario: scenario.name,
      model: cell.model.id,
      ...(cell.placement && { placement: cell.placement.label }),
      shape: shape(cell),
      load: loadLabel(load),
      repeat: scenario.repeat,
      ...(requests !== undefined && { requests }),
      seconds: whole,
    };
  });
}

const meanOf = (length: Length): number => (typeof length === "number" ? length : length.mean);

/** Streams are taken to share one machine's speed: no gain from batching is assumed. */
function secondsOf({ load }: Cell, oneSeconds: number): number {
  switch (load.type) {
    case "single":
    case "concurrent":
      return load.durationMs === undefined
        ? (load.requests ?? 1) * oneSeconds
        : load.durationMs / 1000 + oneSeconds;
    case "rate":
      return load.durationMs === undefined
        ? (load.requests ?? 1) / load.rate
        : load.durationMs / 1000 + oneSeconds;
    case "throughput":
      return load.requests * oneSeconds;
    case "sweep":
      return ((load.steps + 2) * load.perStepMs) / 1000 + oneSeconds;
    case "ramp":
      return load.durationMs / 1000 + oneSeconds;
    case "replay":
      return oneSeconds;
  }
}

/** `3 h 20 min`, `4 min 10 s`, `12 s`. */
export function shownSeconds(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
