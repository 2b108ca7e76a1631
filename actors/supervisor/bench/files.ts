/** Where reports lie: `<dir>/<name>-<time>.json` and its other formats, `<dir>/last.json` for the next comparison. */
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Problem } from "#protocol/problem";
import { CommandProblem, EXIT } from "../exit-code.ts";
import type { Format } from "./bench-config.ts";
import { csvReport, jsonLinesReport } from "./csv-report.ts";
import { type Report, SCHEMA } from "./report.ts";
import { markdownReport } from "./table-report.ts";

type FileFormat = Exclude<Format, "table">;

const EXTENSIONS: Readonly<Record<FileFormat, string>> = {
  json: "json",
  "json.zst": "json.zst",
  jsonl: "jsonl",
  csv: "csv",
  markdown: "md",
  html: "html",
};

/** Returns the paths written. A report that is partial, or without any answer, never becomes the
 * baseline of the next. Throws Problem. */
export async function writeReport(
  report: Report,
  dir: string,
  formats: readonly Format[],
): Promise<readonly string[]> {
  const stem = `${fileName(report.name)}-${report.startedAt.replaceAll(/[-:]/g, "").slice(0, 15)}`;
  const marked = report.state === "partial" ? `${stem}-partial` : stem;
  const written: string[] = [];
  try {
    await mkdir(dir, { recursive: true });
    for (const format of formats) {
      if (format === "table") continue;
      const path = join(dir, `${marked}.${EXTENSIONS[format]}`);
      await writeWhole(path, await contentOf(report, format));
      written.push(path);
    }
    const isStored = formats.includes("json") || formats.includes("json.zst");
    if (isStored && isBaseline(report)) await writeWhole(join(dir, LAST), jsonOf(report));
  } catch (error) {
    throw unwritable(`the report could not be written to ${dir}`, error);
  }
  return written;
}

/** Of a folder that takes no files: `what` is the first half of the sentence. */
export function unwritable(what: string, error: unknown): CommandProblem {
  const why = error instanceof Error ? error.message : String(error);
  const remedy = "make room or choose another folder: output: {dir: …} or --out DIR";
  return new CommandProblem(EXIT.failed, `${what}: ${why}`, { remedy, cause: error });
}

export const LAST = "last.json";

/** A server that was down would leave nothing to compare the next report with. */
const isBaseline = ({ state, cells }: Report): boolean =>
  state === "complete" && !cells.every(({ summary }) => summary.requests === summary.errors);

/** The old file stays until the new one is whole: a full disk or a second Ctrl-C leaves no half report. */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  try {
    const bytes = await Bun.write(temporary, content);
    if (bytes < Buffer.byteLength(content)) throw new Error("the disk took only a part of it");
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Seven digits are more than any clock here has, and a third of the bytes. */
const DIGITS = 7;

const jsonOf = (report: Report): string =>
  `${JSON.stringify(report, (_, value) => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value))}\n`;

async function contentOf(report: Report, format: FileFormat): Promise<string | Uint8Array> {
  switch (format) {
    case "json":
      return jsonOf(report);
    case "json.zst":
      return await Bun.zstdCompress(jsonOf(report));
    case "jsonl":
      return jsonLinesReport(report);
    case "csv":
      return csvReport(report);
    case "markdown":
      return markdownReport(report);
    case "html":
      return (await import("./html/html-report.ts")).htmlReport(report);
  }
}

/** Letters that every file system takes. */
export const fileName = (name: string): string =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, "-")
    .replaceAll(/^[-.]+|-+$/g, "")
    .slice(0, NAME_CHARS_MAX) || "bench";

/** File systems take 255 bytes, of which the time and the extension need some. */
const NAME_CHARS_MAX = 120;

/** `.json` or `.json.zst`. Throws Problem where there is no report, or one that is damaged. */
export async function readReport(path: string): Promise<Report> {
  const file = Bun.file(path);
  if (!(await file.exists()))
    throw new Problem("notFound", `there is no report ${path}`, {
      remedy: "a complete run writes one; see --out",
    });
  const report = await jsonAt(path, await file.bytes());
  const isOurs =
    typeof report === "object" && report !== null && "schema" in report && report.schema === SCHEMA;
  if (!isOurs)
    throw new Problem("invalid", `${path} is no ${SCHEMA} report`, {
      remedy: "name a JSON file that exo bench wrote",
    });
  const { faultIn } = await import("./report-fault.ts");
  const fault = faultIn(report);
  if (fault !== undefined)
    throw new Problem("invalid", `${path} is damaged, or of another version: ${fault}`, {
      remedy: "measure again, or name another report",
    });
  return report as Report;
}

/** Zstandard's first bytes: RFC 8878, section 3.1.1. */
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];

async function jsonAt(path: string, bytes: Uint8Array): Promise<unknown> {
  const isPacked = ZSTD.every((byte, i) => bytes[i] === byte);
  try {
    const plain = isPacked ? await Bun.zstdDecompress(bytes) : bytes;
    return JSON.parse(new TextDecoder().decode(plain));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Problem("invalid", `${path} is no ${SCHEMA} report: ${why}`, {
      remedy: "name a JSON file that exo bench wrote",
      cause: error,
    });
  }
}
