/** A report on its way out: to the terminal, to files, to the page of a workflow. */
import { Problem } from "#protocol/problem";
import type { Session } from "../session.ts";
import { safeText } from "../terminal/safe-text.ts";
import { annotations } from "./annotations.ts";
import type { Asked } from "./asked-for.ts";
import { writeReport } from "./files.ts";
import type { Report } from "./report.ts";
import { markdownReport, tableReport } from "./table-report.ts";

/** Throws Problem where the files cannot be written; what is shown is shown by then. */
export async function showReport(
  session: Session,
  { config, dir }: Asked,
  { report, ci }: { report: Report; ci: boolean },
): Promise<void> {
  const { terminal, progress, json } = session;
  if (report.state === "partial" && report.cells.length === 0) {
    progress.milestone("interrupted before anything was measured: no report is written");
    return;
  }
  // Shown first: a folder that cannot be written must not cost the figures.
  if (json) terminal.out(`${JSON.stringify(report)}\n`);
  else if (config.output.formats.includes("table"))
    terminal.out(safeText(tableReport(report, terminal.outIsTerminal ? { width: terminal.columns() } : {})));
  if (ci) await publish(session, report);
  const paths = await writeReport(report, dir, config.output.formats).catch((error: unknown) => {
    // Of a command that was interrupted nobody is told why it failed.
    if (session.signal.aborted && error instanceof Problem) progress.milestone(error.message);
    throw error;
  });
  for (const path of paths) progress.milestone(`wrote ${path}`);
  if (report.state === "partial")
    progress.milestone("interrupted: the report is partial; the same command with --resume goes on");
}

/** Annotations, and the table on the page of the workflow's run where there is one. */
async function publish(session: Session, report: Report): Promise<void> {
  annotate(session, annotations(report));
  const summary = session.config.childEnvironment.GITHUB_STEP_SUMMARY;
  if (summary === undefined || summary === "") return;
  const { appendFile } = await import("node:fs/promises");
  await appendFile(summary, `${markdownReport(report)}\n`).catch((error: unknown) => {
    session.progress.milestone(`${summary} could not be written: ${String(error)}`);
  });
}

/** Lines for a workflow: on stderr beside `--json`, whose stdout is one object; a workflow reads both. */
export function annotate({ terminal, json }: Session, lines: readonly string[]): void {
  const text = safeText(lines.map((line) => `${line}\n`).join(""));
  if (json) terminal.err(text);
  else terminal.out(text);
}
