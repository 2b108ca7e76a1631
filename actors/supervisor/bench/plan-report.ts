/** `--dry-run`: what would be measured, and about how long it would take. */
import { printJson, type Session } from "../session.ts";
import { table } from "../terminal/table.ts";
import type { BenchConfig } from "./bench-config.ts";
import { ASSUMED, planOf, shownSeconds } from "./estimate.ts";
import { cellsOf, shownCount } from "./grid.ts";
import type { Selection } from "./skips.ts";

export function showPlan(
  session: Session,
  config: BenchConfig,
  { scenarios, placements, skipped }: Selection,
): void {
  const { terminal, json } = session;
  const cells = config.models.flatMap((model) =>
    placements.flatMap((placement) => planOf(cellsOf(scenarios, model, placement), ASSUMED)),
  );
  const seconds = cells.reduce((sum, each) => sum + each.seconds, 0);
  if (json) {
    printJson(session, "bench-plan", { name: config.name, seconds, assumed: ASSUMED, cells, skipped });
    return;
  }
  const rows = cells.map((each) => [
    each.scenario,
    each.placement === undefined ? each.model : `${each.model} (${each.placement})`,
    each.shape,
    each.load,
    `${each.repeat} ×`,
    String(each.requests ?? "–"),
    shownSeconds(each.seconds),
  ]);
  terminal.out(table(["scenario", "model", "prompt×out", "load", "runs", "requests", "about"], rows));
  terminal.out(skipped.map(({ what, reason }) => `skipped ${what}: ${reason}\n`).join(""));
  terminal.out(
    `${shownCount(cells.length, "cell")}, about ${shownSeconds(seconds)} at an assumed ${ASSUMED.prefillTps} tok/s prefill and ${ASSUMED.decodeTps} tok/s decode\n`,
  );
}
