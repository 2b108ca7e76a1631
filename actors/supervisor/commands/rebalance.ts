/** `exo rebalance`: moves a model of several machines to where it would be faster now, or to others that are named. */
import type { Rebalanced } from "#protocol/placement";
import { needDaemon } from "../daemon/daemon.ts";
import { watched } from "../daemon/open-model.ts";
import { namedIn } from "../node/models.ts";
import { printJson, type Session } from "../session.ts";
import { type PlacementFlags, wishOf } from "./wish.ts";

export async function rebalance(session: Session, model: string, flags: PlacementFlags): Promise<void> {
  const { signal, progress } = session;
  const daemon = await needDaemon(session);
  const wish = wishOf(flags);
  progress.status("looking for a faster placement");
  const asked = daemon.post<Rebalanced>(
    "/exo/v1/rebalance",
    { model: namedIn(session, model), ...wish },
    signal,
  );
  const found = await asked.finally(() => progress.end());
  for (const note of found.notes) progress.milestone(note);
  if (found.moved) {
    const loading = daemon.post("/exo/v1/load", { model: found.model }, signal);
    await watched(session, daemon, { name: found.model, loading });
  }
  if (session.json) return printJson(session, "rebalance", found);
  session.progress.milestone(words(found, wish !== undefined));
}

function words({ model, moved, before, now }: Rebalanced, isWished: boolean): string {
  const rate = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} t/s`;
  if (!moved && isWished)
    return `${model} is there already: ${rate(now)} are predicted, all answers together`;
  if (!moved)
    return `${model} stays where it is: no placement of it is predicted a tenth faster than its ${rate(now)}`;
  const from = before === undefined ? "" : ` instead of ${rate(before)}`;
  return `${model} is placed anew: ${rate(now)} are predicted${from}, all answers together`;
}
