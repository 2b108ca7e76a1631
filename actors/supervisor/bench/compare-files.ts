/** `exo bench compare A B [C…]`: reports on disk, each against the first. */
import { CommandProblem, EXIT, usageProblem } from "../exit-code.ts";
import { printJson, type Session } from "../session.ts";
import { table } from "../terminal/table.ts";
import { type Comparison, compare, shownChange } from "./compare.ts";
import { readReport } from "./files.ts";

/** Throws Problem. */
export async function compareFiles(session: Session, paths: readonly string[]): Promise<void> {
  const [first, ...others] = paths;
  if (first === undefined || others.length === 0)
    throw usageProblem(
      "comparing needs two reports or more",
      "exo bench compare bench/last.json bench/other.json",
    );
  const before = await readReport(first);
  for (const path of others) {
    const after = await readReport(path);
    const comparison = compare(before, after, []);
    if (comparison.cells.length === 0) throw nothingInCommon(first, path);
    if (session.json) printJson(session, "bench-compare", { before: first, after: path, ...comparison });
    else session.terminal.out(shown(path, comparison));
  }
}

const nothingInCommon = (first: string, path: string): CommandProblem =>
  new CommandProblem(EXIT.checkFailed, `${first} and ${path} have no cell in common`, {
    remedy: "cells match by scenario name, model, lengths and load",
  });

const SHOWN = ["prefill_tps", "decode_tps", "total_tps", "ttft_p50", "itl_p50"];

function shown(path: string, { baseline, cells, unmatched, warnings }: Comparison): string {
  const rows = cells.map(({ key, changes }) => [
    key,
    ...SHOWN.map((metric) => {
      const change = changes[metric];
      if (!change) return "–";
      const range = change.interval?.map((ratio) => (ratio * 100).toFixed(1)).join(" to ");
      return `${shownChange(change.ratio)} ${change.verdict}${range === undefined ? "" : ` (${range})`}`;
    }),
  ]);
  return [
    ...(baseline ? [`${path} against ${baseline.name} of ${baseline.startedAt} (${baseline.commit})\n`] : []),
    ...warnings.map((text) => `! ${text}\n`),
    table(["cell", ...SHOWN], rows),
    ...unmatched.map((text) => `not compared: ${text}\n`),
    "in brackets: the 95 % interval by bootstrap over runs, per cent; same = it holds 0\n",
  ].join("");
}
