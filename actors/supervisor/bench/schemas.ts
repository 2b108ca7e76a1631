/** `exo bench schema`: the shapes of config.yaml and of a report, as JSON Schema. */
import { usageProblem } from "../exit-code.ts";
import type { Session } from "../session.ts";
import { BenchConfigFile } from "./config-schema.ts";
import { Report, SCHEMA } from "./report.ts";

/** As the files beside this one hold them. */
export const schemaText = (which: keyof typeof SCHEMAS): string =>
  `${JSON.stringify(SCHEMAS[which], undefined, 2)}\n`;

const SCHEMAS = {
  config: BenchConfigFile,
  report: {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: `${SCHEMA}, what exo bench measured`,
    ...Report,
  },
} as const;

/** Throws Problem. */
export function printSchema({ terminal }: Session, which = "config"): void {
  if (which !== "config" && which !== "report")
    throw usageProblem(`there is no schema ${which}`, "exo bench schema config, or exo bench schema report");
  terminal.out(schemaText(which));
}
