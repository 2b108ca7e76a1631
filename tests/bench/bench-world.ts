/** A benchmark against the fake target, from a config's text to its report's cells, in virtual time. */
import { cellWarnings } from "#actors/supervisor/bench/cell-warnings";
import type { Measured, Meters } from "#actors/supervisor/bench/measure";
import { placementsOf } from "#actors/supervisor/bench/placements";
import { readConfig } from "#actors/supervisor/bench/read-config";
import { type ReportCell, reportCells } from "#actors/supervisor/bench/report";
import { type Done, runBench } from "#actors/supervisor/bench/run-bench";
import { Problem } from "#protocol/problem";
import { type FakeTarget, fakeTarget, type Speeds } from "./fake-target.ts";
import { type VirtualClock, virtualClock } from "./virtual-clock.ts";

export interface World {
  readonly cells: readonly ReportCell[];
  readonly target: FakeTarget;
  readonly done: Done;
  /** Cell and repeat, in the order they were measured. */
  readonly journal: readonly string[];
  readonly clock: VirtualClock;
}

export interface Circumstances {
  readonly speeds?: Speeds;
  /** Files that the config names. */
  readonly files?: Readonly<Record<string, string>>;
  readonly meters?: Partial<Meters>;
  readonly clock?: VirtualClock;
  /** Files that are not there are missed; else they are empty. */
  readonly strict?: boolean;
  /** Told when the target begins to compute and when it rests. */
  readonly busy?: (isBusy: boolean) => void;
  /** Ctrl-C at this moment. */
  readonly abortMs?: number;
  /** Measured before, as `--resume` finds it. */
  readonly before?: readonly (readonly [key: string, repeat: number, measured: readonly Measured[]])[];
}

/** `scenarios` as YAML; the model is `m`, warm-up and repeats are off unless said. */
export async function benchmark(scenarios: string, around: Circumstances = {}): Promise<World> {
  const { speeds, files = {}, abortMs, before = [] } = around;
  const config = readConfig(
    `models: [m]\ndefaults: {warmup: 0, repeat: 1}\nscenarios:\n${scenarios}`,
    "c.yaml",
  );
  const clock = around.clock ?? virtualClock();
  const target = fakeTarget(clock, { ...speeds, ...(around.busy && { busy: around.busy }) });
  const ending = new AbortController();
  const journal: string[] = [];
  if (abortMs !== undefined) clock.after(abortMs, () => ending.abort(new Error("interrupted")));
  const work = runBench(
    config,
    { scenarios: config.scenarios, placements: placementsOf(config) },
    {
      clock,
      signal: ending.signal,
      open: async () => ({ wire: target, model: "m", kind: "url", close: async () => {} }),
      read: (path) => {
        if (around.strict && files[path] === undefined)
          throw new Problem("notFound", `${path} does not exist`);
        return files[path] ?? "";
      },
      journal: {
        measured: new Map(before.map(([key, , measured]) => [key, measured])),
        has: (key, repeat) => before.some(([known, done]) => known === key && done === repeat),
        add: async (key, repeat) => void journal.push(`${repeat} ${key}`),
        done: async () => {},
        release: async () => {},
      },
      meters: { clientCpuMs: () => 0, ...around.meters },
      status: () => {},
    },
  );
  const ran = await clock.run(work);
  const warnings = ran.cells.flatMap((cell) => cellWarnings(cell, ran.measured.get(cell.key) ?? []));
  const done = { ...ran, warnings: [...ran.warnings, ...warnings] };
  return { cells: reportCells(done.cells, done.measured), target, done, journal, clock };
}
