/** `exo stop`: takes a model out of memory. */
import { needDaemon } from "../daemon.ts";
import { usageProblem } from "../exit-code.ts";
import { namedIn } from "../models.ts";
import { printJson, type Session } from "../session.ts";

export interface StopFlags {
  readonly all?: boolean;
  readonly now?: boolean;
}

export async function stop(
  session: Session,
  model: string | undefined,
  { all, now = false }: StopFlags,
): Promise<void> {
  if ((model === undefined) === !all) {
    throw usageProblem(
      model === undefined ? "no model was named" : "a model and --all exclude each other",
      "exo stop MODEL, or exo stop --all",
    );
  }
  const name = all ? "all" : namedIn(session, model ?? "");
  const daemon = await needDaemon(session);
  await daemon.post("/exo/v1/stop", { model: name, now }, session.signal);
  if (session.json) return printJson(session, "stop", { model: name, state: "stopped" });
  session.progress.milestone(`stopped ${all ? "all models" : name}`);
}
