/** Files of one JSON object a line; what is wrong is said with its line. */
import { Problem } from "#protocol/problem";

export interface NumberedLine {
  readonly line: number;
  readonly value: Readonly<Record<string, unknown>>;
}

/** Throws Problem: no line at all, or one that is no JSON object. */
export function jsonLines(text: string, path: string): readonly NumberedLine[] {
  const lines = text
    .split("\n")
    .flatMap((each, i) => (each.trim() === "" ? [] : [{ line: i + 1, text: each }]));
  if (lines.length === 0)
    throw new Problem("invalid", `${path} is empty`, { remedy: "give a file with a JSON object a line" });
  return lines.map(({ line, text: json }) => ({ line, value: objectAt(json, path, line) }));
}

function objectAt(json: string, path: string, line: number): NumberedLine["value"] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw wrongLine(path, line, `is not JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as NumberedLine["value"];
  throw wrongLine(path, line, "is no JSON object");
}

export const wrongLine = (path: string, line: number, what: string): Problem =>
  new Problem("invalid", `${path}:${line}: ${what}`, { remedy: "correct that line" });
