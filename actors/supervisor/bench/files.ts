/** Where reports lie: `<dir>/<name>-<time>.json` and its other formats, `<dir>/last.json` for the next comparison. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Problem } from "#protocol/problem";
import type { Format } from "./bench-config.ts";
import { csvReport } from "./csv-report.ts";
import { type Report, SCHEMA } from "./report.ts";
import { markdownReport } from "./table-report.ts";

const EXTENSIONS: Readonly<Record<Exclude<Format, "table">, string>> = {
  json: "json",
  csv: "csv",
  markdown: "md",
  html: "html",
};

/** Returns the paths written. A partial report never becomes the baseline of the next. Throws Problem. */
export async function writeReport(
  report: Report,
  dir: string,
  formats: readonly Format[],
): Promise<readonly string[]> {
  const stem = `${fileName(report.name)}-${report.startedAt.replaceAll(/[-:]/g, "").slice(0, 15)}`;
  const marked = report.state === "partial" ? `${stem}-partial` : stem;
  const written: string[] = [];
  const write = async (name: string, text: string) => {
    const path = join(dir, name);
    await Bun.write(path, text);
    written.push(path);
  };
  try {
    await mkdir(dir, { recursive: true });
    for (const format of formats) {
      if (format !== "table") await write(`${marked}.${EXTENSIONS[format]}`, await textOf(report, format));
    }
    if (report.state === "complete" && formats.includes("json"))
      await Bun.write(join(dir, LAST), jsonOf(report));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Problem("unavailable", `the report could not be written to ${dir}: ${why}`, {
      remedy: "choose another folder: output: {dir: …} or --out DIR",
    });
  }
  return written;
}

export const LAST = "last.json";

/** Seven digits are more than any clock here has, and a third of the bytes. */
const DIGITS = 7;

const jsonOf = (report: Report): string =>
  `${JSON.stringify(report, (_, value) => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value))}\n`;

async function textOf(report: Report, format: Exclude<Format, "table">): Promise<string> {
  switch (format) {
    case "json":
      return jsonOf(report);
    case "csv":
      return csvReport(report);
    case "markdown":
      return markdownReport(report);
    case "html":
      return (await import("./html-report.ts")).htmlReport(report);
  }
}

/** Letters that every file system takes. */
export const fileName = (name: string): string =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, "-")
    .replaceAll(/^-+|-+$/g, "") || "bench";

/** Throws Problem where there is no report. */
export async function readReport(path: string): Promise<Report> {
  const file = Bun.file(path);
  if (!(await file.exists()))
    throw new Problem("notFound", `there is no report ${path}`, {
      remedy: "a complete run writes one; see --out",
    });
  const report: Report = await file.json().catch(() => undefined);
  if (report?.schema === SCHEMA) return { ...report, quality: report.quality ?? [] };
  throw new Problem("invalid", `${path} is no ${SCHEMA} report`, {
    remedy: "name a JSON file that exo bench wrote",
  });
}
