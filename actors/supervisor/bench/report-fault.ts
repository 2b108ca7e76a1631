/** Whether a file holds a report, field by field. */
import { Value } from "@sinclair/typebox/value";
import { Report } from "./report.ts";

/** The first thing that is not as the schema has it, or undefined where all is. */
export function faultIn(report: unknown): string | undefined {
  if (Value.Check(Report, report)) return undefined;
  const first = Value.Errors(Report, report).First();
  return first ? `${first.path || "/"}: ${first.message.toLowerCase()}` : "it is not as its schema has it";
}
