/** The figures of all parts so far, as they are kept, and the tables made of them. */
import { table } from "#actors/supervisor/terminal/table";
import { extentOf, type Figure, named, reached, type Series } from "./figure.ts";
import type { Outcome } from "./part.ts";

export interface Kept {
  readonly schema: "exo.figures/1";
  /** By name; one measured again replaces what was kept of it. */
  readonly parts: Readonly<Record<string, Measured>>;
}

export interface Measured {
  /** With `+` where files differed from it. */
  readonly commit: string;
  readonly at: string;
  readonly machine: string;
  /** What could have spoiled it. */
  readonly warnings: readonly string[];
  readonly rounds: number;
  /** Absent where it failed; then `failure` says why. */
  readonly outcome?: Outcome;
  readonly failure?: string;
}

export const nothingKept: Kept = { schema: "exo.figures/1", parts: {} };

const three = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
const shownExtent = ({ median, least, most }: Figure["extent"], unit: string): string =>
  `${three(median)}${unit} (${three(least)}–${three(most)})`;
const shownUnit = ({ unit }: Figure): string => (unit === "" ? "" : ` ${unit}`);
const shownGoal = ({ goal, unit }: Figure): string =>
  goal ? `${goal.is === "at least" ? "≥" : "≤"} ${goal.value}${unit === "" ? "" : ` ${unit}`}` : "–";

/** By how much a goal is missed: `18 % short`; and whether something else was at work while it was measured. */
function verdict(figure: Figure, { warnings }: Measured): string {
  const disturbed = warnings.length === 0 ? "" : " (disturbed)";
  return `${judged(figure)}${figure.goal ? disturbed : ""}`;
}

function judged(figure: Figure): string {
  const { goal, extent } = figure;
  const met = reached(figure);
  if (!goal || met === undefined) return "–";
  if (met) return "reached";
  const share = Math.abs(extent.median / goal.value - 1) * 100;
  return `not reached: ${three(share)} % ${goal.is === "at least" ? "short" : "over"}`;
}

/** Everything of some parts, for a terminal. */
export function figuresText({ parts }: Kept, names: readonly string[]): string {
  const chosen = names.flatMap((name) => {
    const measured = parts[name];
    return measured ? [{ name, ...measured }] : [];
  });
  const rows = chosen.flatMap(({ name, outcome, failure, ...measured }) =>
    outcome
      ? outcome.figures.map((figure) => [
          name,
          figure.measure,
          shownExtent(figure.extent, shownUnit(figure)),
          shownGoal(figure),
          verdict(figure, measured),
        ])
      : [[name, `failed: ${failure ?? ""}`, "–", "–", "failed"]],
  );
  const series = chosen.flatMap(({ outcome }) =>
    (outcome?.series ?? []).map((each) => [named(each), shownExtent(extentOf(each.values), ` ${each.unit}`)]),
  );
  const heads = chosen.map(
    ({ name, commit, at, machine, rounds, warnings, outcome }) =>
      `${name}: ${commit}, ${at}, ${machine}, ${rounds} rounds; ${[...(outcome?.notes ?? []), ...warnings].join("; ")}\n`,
  );
  const figures = table(["part", "measure", "median (least–most)", "goal", ""], rows);
  return `${figures}\n${table(["series", "median (least–most)"], series)}\n${heads.join("")}${count(chosen)}`;
}

function count(measured: readonly Measured[]): string {
  const goals = measured
    .flatMap(({ outcome }) => outcome?.figures ?? [])
    .flatMap((each) => reached(each) ?? []);
  const failed = measured.filter(({ failure }) => failure !== undefined).length;
  const broken = failed === 0 ? "" : `, ${failed} parts failed`;
  return `${goals.filter(Boolean).length} of ${goals.length} goals reached${broken}\n`;
}

/** For the README: what was measured, on what, and which goal it has. */
export function figuresMarkdown({ parts }: Kept, names: readonly string[]): string {
  const chosen = names.flatMap((name) => parts[name] ?? []);
  const places = Map.groupBy(chosen, ({ machine, commit }) => `${machine}; commit ${commit}`);
  const lines = [...places].flatMap(([place, measured]) => [
    `${place}; medians of ${roundsOf(measured)} rounds in which the sides take turns, each at its best number of threads, token ids in`,
    "and out without HTTP (`bun bench/figures.ts`); ratios are of runs of one round, least and most in parentheses.",
    "",
    "| measure | of | over | figure | goal | |",
    "|---|---|---|---|---|---|",
    ...measured.flatMap(rowsOf),
    "",
  ]);
  return `${lines.join("\n")}`;
}

const roundsOf = (measured: readonly Measured[]): string => {
  const all = measured.map(({ rounds }) => rounds);
  const [least, most] = [Math.min(...all), Math.max(...all)];
  return least === most ? String(least) : `${least} to ${most}`;
};

function rowsOf({ outcome, failure, ...measured }: Measured): readonly string[] {
  if (!outcome) return [`| failed: ${failure ?? ""} | – | – | – | – | failed |`];
  return outcome.figures.map((figure) => {
    const [over, under] = figure.from.map((name) => outcome.series.find((each) => named(each) === name));
    const cells = [
      figure.measure,
      speed(over),
      speed(under),
      shownExtent(figure.extent, shownUnit(figure)),
      shownGoal(figure),
      verdict(figure, measured),
    ];
    return `| ${cells.join(" | ")} |`;
  });
}

function speed(series: Series | undefined): string {
  if (!series) return "–";
  const threads = series.threads === undefined ? "" : ` (${series.threads} thr)`;
  return `${three(extentOf(series.values).median)} ${series.unit}${threads}`;
}
