/** `exo pull`: fetches models, or brings them up to date. */
import { fetchModel } from "../models.ts";
import { printJson, type Session } from "../session.ts";

export async function pull(session: Session, models: readonly string[]): Promise<void> {
  const { signal, terminal, progress, json } = session;
  for (const model of models) {
    try {
      const { path, reference } = await fetchModel(session, model, true);
      if (json) printJson(session, "pull", { event: "done", model, reference, path });
      else progress.milestone(`${terminal.errStyle("green", "✓")} ${model} is at ${path}`);
    } catch (error) {
      if (signal.aborted) progress.milestone(`paused; go on with: exo pull ${model}`);
      throw error;
    }
  }
}
