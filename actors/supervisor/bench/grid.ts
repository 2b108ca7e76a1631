/** Lists in the config make a grid; a cell is one point of it. */
import type { Bound, Length, Load, ModelChoice, Scenario } from "./bench-config.ts";
import type { PlacementChoice } from "./placements.ts";

export interface Cell {
  /** Tells cells apart, and finds the same one in another report. */
  readonly key: string;
  readonly scenario: Scenario;
  readonly model: ModelChoice;
  /** Absent where the config says nothing of machines. */
  readonly placement?: PlacementChoice;
  readonly prompt: Length;
  readonly output: Length;
  /** Tokens of context before the prompt. */
  readonly fill: number;
  readonly load: CellLoad;
}

/** A load with one value where the config may have a list. */
export type CellLoad =
  | ({ readonly type: "single"; readonly streams: 1 } & Bound)
  | ({ readonly type: "concurrent"; readonly streams: number } & Bound)
  | (Omit<Extract<Load, { type: "rate" }>, "rate"> & { readonly rate: number })
  | Extract<Load, { type: "throughput" | "sweep" | "replay" | "ramp" }>;

export function cellsOf(
  scenarios: readonly Scenario[],
  model: ModelChoice,
  placement?: PlacementChoice,
): readonly Cell[] {
  const where = placement ? { placement } : {};
  return scenarios.flatMap((scenario) =>
    scenario.contextFill.flatMap((fill) =>
      scenario.promptTokens.flatMap((prompt) =>
        scenario.outputTokens.flatMap((output) =>
          loadsOf(scenario.load).map((load) => {
            const parts = [
              scenario.name,
              model.id,
              ...(placement ? [placement.label] : []),
              shape({ scenario, prompt, output, fill }),
              loadLabel(load),
            ];
            return { key: parts.join(" · "), scenario, model, ...where, prompt, output, fill, load };
          }),
        ),
      ),
    ),
  );
}

/** A second wave shows what a new prompt does to the answers that run; one wave would not. */
const WAVES = 2;

function loadsOf(load: Load): readonly CellLoad[] {
  switch (load.type) {
    case "single":
      return [
        { streams: 1, ...load, ...(load.durationMs === undefined && { requests: load.requests ?? 1 }) },
      ];
    case "concurrent":
      return load.streams.map((streams) => ({
        ...load,
        streams,
        ...(load.durationMs === undefined && {
          requests: load.requests ?? (streams === 1 ? 1 : streams * WAVES),
        }),
      }));
    case "rate":
      return load.rate.map((rate) => ({ ...load, rate }));
    default:
      return [load];
  }
}

/** `512×128`, `8192+512×128` with a filled context, `sharegpt×128` for what lies in a file. */
export function shape({
  scenario: { data },
  prompt,
  output,
  fill,
}: Omit<Cell, "key" | "model" | "load">): string {
  if (data?.type === "trace") return "trace";
  const asked = data && "path" in data ? data.type : lengthLabel(prompt);
  return `${fill > 0 ? `${fill}+` : ""}${asked}×${lengthLabel(output)}`;
}

const lengthLabel = (length: Length): string =>
  typeof length === "number"
    ? String(length)
    : length.dist === "uniform"
      ? `${length.min}–${length.max}`
      : `~${Math.round(length.mean)}`;

export function loadLabel(load: CellLoad): string {
  switch (load.type) {
    case "single":
    case "concurrent":
      return shownCount(load.streams, "stream");
    case "rate":
      return `${shownRate(load.rate)} ${load.arrival}${load.arrival === "gamma" ? ` ${load.burstiness}` : ""}`;
    case "throughput":
      return `all ${load.requests} at once`;
    case "sweep":
      return `sweep ${load.steps}`;
    case "replay":
      return `replay ×${load.speed}`;
    case "ramp":
      return `ramp ${shownRate(load.from)} → ${shownRate(load.to)}`;
  }
}

/** `1 run`, `5 runs`. */
export const shownCount = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? "" : "s"}`;

export const shownRate = (perSecond: number): string => `${Number(perSecond.toPrecision(3))}/s`;
