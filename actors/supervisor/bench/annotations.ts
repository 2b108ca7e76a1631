/**
 * `--ci`: what a reader of a pull request should see, as GitHub's workflow commands:
 * https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions.
 */
import type { Report } from "./report.ts";
import { headLine } from "./table-report.ts";

/** Lines to print: errors for broken limits, warnings, and one notice with the figures. */
export function annotations(report: Report): readonly string[] {
  const { comparison, cells, warnings, state } = report;
  const failed = cells.filter(({ summary }) => summary.requests > 0 && summary.requests === summary.errors);
  const noisy = cells.filter((cell) => cell.noisy);
  return [
    ...(comparison?.broken ?? []).map(({ metric, found, key, limit }) =>
      command("error", "exo bench: limit broken", `${metric} ${found} on ${key} (limit ${limit})`),
    ),
    ...failed.map(({ key }) =>
      command("error", "exo bench: nothing measured", `${key}: no request was answered`),
    ),
    ...(state === "partial"
      ? [command("warning", "exo bench: partial", "the benchmark was interrupted")]
      : []),
    ...[...warnings, ...(comparison?.warnings ?? [])].map((text) => command("warning", "exo bench", text)),
    ...noisy.map(({ key }) =>
      command("warning", "exo bench: noisy", `${key}: its runs vary by more than 5 %`),
    ),
    command("notice", "exo bench", [headLine(report), ...cells.map(figures)].join("\n")),
  ];
}

const figures = ({ key, summary }: Report["cells"][number]): string =>
  `${key}: prefill ${shown(summary.prefillTps)}, decode ${shown(summary.decodeTps)}, total ${shown(summary.totalTps)} tok/s`;
const shown = (value: number | undefined): string => value?.toFixed(1) ?? "–";

/** Faults of a config, at their lines: `path:line:column: what`, as `readConfig` words them. */
export const faultAnnotations = (message: string): readonly string[] =>
  message.split("\n").map((line) => {
    const [, file, at, column, what] = /^(.+?):(\d+):(\d+): (.*)$/.exec(line) ?? [];
    return what === undefined
      ? command("error", "exo bench", line)
      : `::error file=${property(String(file))},line=${at},col=${column},title=exo bench::${data(what)}`;
  });

export const command = (kind: "error" | "warning" | "notice", title: string, text: string): string =>
  `::${kind} title=${property(title)}::${data(text)}`;

const data = (text: string): string =>
  text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
const property = (text: string): string => data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
