/** `exo bench history` and `exo bench share`: what was measured before, and how to show it to others. */
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { Problem } from "#protocol/problem";
import { usageProblem } from "../exit-code.ts";
import { printJson, type Session } from "../session.ts";
import { table } from "../terminal/table.ts";
import { LAST, readReport } from "./files.ts";
import type { Report } from "./report.ts";

/** Every report of a folder, oldest first. Throws Problem. */
export async function history(session: Session, dir: string): Promise<void> {
  const all = existsSync(dir) ? readdirSync(dir) : [];
  // A packed report is often a second copy.
  const names = all.filter(
    (name) =>
      (name.endsWith(".json") && name !== LAST) ||
      (name.endsWith(".json.zst") && !all.includes(name.slice(0, -".zst".length))),
  );
  const reports = await Promise.all(
    names.map(async (name) => ({ name, report: await tried(join(dir, name)) })),
  );
  const found = reports
    .flatMap(({ name, report }) => (report ? [{ name, report }] : []))
    .toSorted((a, b) => a.report.startedAt.localeCompare(b.report.startedAt));
  if (session.json) {
    const entries = found.map(({ name, report: { cells, ...facts } }) => ({
      file: name,
      ...facts,
      cells: cells.length,
    }));
    printJson(session, "bench-history", { dir, reports: entries });
    return;
  }
  if (found.length === 0)
    throw new Problem("notFound", `${dir} holds no report`, { remedy: "exo bench MODEL writes one" });
  const rows = found.flatMap(({ name, report }) =>
    report.cells.map(({ key, summary, noisy }) => [
      report.startedAt.slice(0, 16).replace("T", " "),
      report.environment.exo.commit,
      key,
      summary.prefillTps?.toFixed(1) ?? "–",
      summary.decodeTps?.toFixed(1) ?? "–",
      `${summary.totalTps.toFixed(1)}${noisy ? " noisy" : ""}`,
      `${name}${report.state === "partial" ? " (partial)" : ""}`,
    ]),
  );
  session.terminal.out(
    table(["started", "commit", "cell", "prefill tok/s", "decode tok/s", "total tok/s", "file"], rows),
  );
}

/** Other JSON may lie in the folder too. */
const tried = (path: string): Promise<Report | undefined> => readReport(path).catch(() => undefined);

/** Writes `<report>-shared.json` beside a report, without addresses and paths. Throws Problem. */
export async function share({ progress }: Session, path: string | undefined): Promise<void> {
  if (path === undefined) throw usageProblem("no report was named", "exo bench share bench/last.json");
  const shared = path.replace(/(\.json(\.zst)?)?$/, "-shared.json");
  await Bun.write(shared, `${JSON.stringify(redacted(await readReport(path)))}\n`);
  progress.milestone(`wrote ${shared}`);
}

/** Addresses, paths, and whatever a server said in its own words go; figures, machine and versions stay. */
export function redacted(report: Report): Report {
  const { environment, cells, warnings } = report;
  const folders = /(?:\/|[A-Za-z]:\\)[^\s·:]*[/\\]/g;
  const plain = (text: string) => text.replaceAll(/https?:\/\/[^\s·]+/g, "(address)").replaceAll(folders, "");
  const cleaned = {
    ...report,
    warnings: warnings.map((text) => plain(text).replace(/(the first with: ).*/, "$1(reason)")),
    environment: { ...environment, target: { ...environment.target, url: "(address)" } },
    // Questions are the user's own, and nodes have names.
    quality: report.quality.map(({ wrong, ...each }) => ({ ...each, model: basename(each.model) })),
    skipped: report.skipped.map(({ what, reason }) => ({
      what: plain(what).replace(/^(placement on) .*/, "$1 (nodes)"),
      reason: plain(reason),
    })),
    cells: cells.map((cell) => ({
      ...cell,
      key: plain(cell.key),
      model: basename(cell.model),
      runs: cell.runs.map((run) => ({
        ...run,
        samples: run.samples.map((sample) =>
          sample.error === undefined ? sample : { ...sample, error: "(reason)" },
        ),
      })),
    })),
  };
  if (!report.comparison) return cleaned;
  const { comparison } = report;
  const named = <T extends { readonly key: string }>(list: readonly T[]) =>
    list.map((each) => ({ ...each, key: plain(each.key) }));
  return {
    ...cleaned,
    comparison: {
      ...comparison,
      cells: named(comparison.cells),
      broken: named(comparison.broken),
      unmatched: comparison.unmatched.map(plain),
    },
  };
}
