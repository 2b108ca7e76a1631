/** The figures of bench/peers.ts, put side by side. */
import { percentile, spreadOf } from "#actors/supervisor/bench/statistics";
import { table } from "#actors/supervisor/terminal/table";
import type { SideName } from "./peers-side.ts";

/** One run of one side, tokens per second. */
export interface Measured {
  readonly model: string;
  readonly side: SideName;
  readonly threads: number;
  readonly prompt: number;
  readonly round: number;
  readonly measure: "prefill" | "decode";
  readonly tps: number;
}

export interface PeersReport {
  readonly schema: "exo.peers/1";
  readonly commit: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly loadBefore: number };
  readonly versions: Readonly<Record<string, string>>;
  /** Of 8 greedy tokens after one prompt, how many each side has as the first side has them, by model and side. */
  readonly agreement: Readonly<Record<string, number>>;
  /** No HTTP between the clock and the engines. */
  readonly level: "engine";
  readonly output: number;
  readonly rounds: number;
  readonly rows: readonly Row[];
  readonly runs: readonly Measured[];
}

export interface Row {
  readonly model: string;
  readonly measure: Measured["measure"];
  readonly prompt: number;
  /** Each side at its best number of threads. */
  readonly sides: Readonly<
    Record<
      string,
      { readonly threads: number; readonly median: number; readonly min: number; readonly max: number }
    >
  >;
  /** exo over the other, run by run of one round. */
  readonly ratios: Readonly<
    Record<string, { readonly median: number; readonly min: number; readonly max: number }>
  >;
}

export function peersReport(
  runs: readonly Measured[],
  facts: Omit<PeersReport, "schema" | "rows" | "runs">,
): PeersReport {
  const groups = Map.groupBy(runs, ({ model, measure, prompt }) => `${model} ${measure} ${prompt}`);
  return { schema: "exo.peers/1", ...facts, rows: [...groups.values()].map(rowOf), runs };
}

function rowOf(runs: readonly Measured[]): Row {
  const [{ model = "", measure = "decode", prompt = 0 } = {}] = runs;
  const best = new Map([...Map.groupBy(runs, ({ side }) => side)].map(([side, own]) => [side, bestOf(own)]));
  const sides = [...best].map(([side, own]) => [
    side,
    { threads: own[0]?.threads ?? 0, ...extent(own.map(({ tps }) => tps)) },
  ]);
  const exo = best.get("exo") ?? [];
  const ratios = [...best].flatMap(([side, own]) => {
    if (side === "exo" || exo.length === 0) return [];
    const pairs = own.flatMap(({ round, tps }) => {
      const same = exo.find((run) => run.round === round);
      return same ? [same.tps / tps] : [];
    });
    return [[side, extent(pairs)]];
  });
  return { model, measure, prompt, sides: Object.fromEntries(sides), ratios: Object.fromEntries(ratios) };
}

/** The runs with the number of threads whose median is highest. */
function bestOf(runs: readonly Measured[]): readonly Measured[] {
  const byThreads = [...Map.groupBy(runs, ({ threads }) => threads).values()];
  const median = (own: readonly Measured[]) => extent(own.map(({ tps }) => tps)).median;
  return byThreads.toSorted((a, b) => median(b) - median(a))[0] ?? [];
}

function extent(values: readonly number[]): { median: number; min: number; max: number } {
  const spread = spreadOf(values);
  const sorted = values.toSorted((a, b) => a - b);
  return { median: percentile(sorted, 50), min: spread?.min ?? Number.NaN, max: spread?.max ?? Number.NaN };
}

export function peersTable({ rows, commit, machine, agreement }: PeersReport): string {
  const sides = [...new Set(rows.flatMap((row) => Object.keys(row.sides)))];
  const others = sides.filter((side) => side !== "exo");
  const headers = [
    "model",
    "measure",
    "prompt",
    ...sides.map((side) => `${side} tok/s`),
    ...others.map((side) => `exo / ${side}`),
  ];
  const shown = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
  const body = rows.map(({ model, measure, prompt, sides: speeds, ratios }) => [
    model,
    measure,
    String(prompt),
    ...sides.map((side) => {
      const speed = speeds[side];
      return speed
        ? `${shown(speed.median)} (${shown(speed.min)}–${shown(speed.max)}, ${speed.threads} thr)`
        : "–";
    }),
    ...others.map((side) => {
      const ratio = ratios[side];
      return ratio ? `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)})` : "–";
    }),
  ]);
  const head = `${machine.cpu}, ${machine.cores} cores, load ${machine.loadBefore.toFixed(1)} before, ${commit}; medians (least–most)\n`;
  const alike = Object.entries(agreement).map(([who, tokens]) => `${who} ${tokens}`);
  return `${head}${table(headers, body)}the same first tokens of 8 (arithmetic differs, so a few are enough): ${alike.join(", ")}\n`;
}
