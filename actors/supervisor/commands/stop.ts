/** `exo stop`: takes a model out of memory. */
import { Problem } from "#protocol/problem";
import { needDaemon } from "../daemon/daemon.ts";
import { usageProblem } from "../exit-code.ts";
import { modelAt, namedIn } from "../node/models.ts";
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
  const name = all ? "all" : await wanted(session, model ?? "");
  const daemon = await needDaemon(session);
  await daemon.post("/exo/v1/stop", { model: name, now }, session.signal);
  if (session.json) return printJson(session, "stop", { model: name, state: "stopped" });
  session.progress.milestone(`stopped ${all ? "all models" : name}`);
}

/** A path is relative to where this command was given, which the daemon does not know; other names it knows as well. */
async function wanted(session: Session, model: string): Promise<string> {
  const name = namedIn(session, model);
  if (session.config.host !== undefined) return name;
  try {
    return (await modelAt(session, model, false)).reference;
  } catch (error) {
    if (error instanceof Problem) return name;
    throw error;
  }
}
