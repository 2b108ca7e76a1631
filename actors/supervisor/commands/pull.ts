/** `exo pull`: fetches models, or brings them up to date. */
import { CommandProblem, EXIT } from "../exit-code.ts";
import { fetchModel, modelAt, storedModels } from "../node/models.ts";
import { printJson, type Session } from "../session.ts";

export interface PullFlags {
  /** Fetch nothing: check what is here. */
  readonly verify?: boolean;
}

export async function pull(
  session: Session,
  models: readonly string[],
  { verify }: PullFlags,
): Promise<void> {
  for (const model of models) await (verify ? verified(session, model) : fetched(session, model));
}

async function fetched(session: Session, model: string): Promise<void> {
  const { signal, terminal, progress, json } = session;
  try {
    const { path, reference } = await fetchModel(session, model, true);
    if (json) printJson(session, "pull", { event: "done", model, reference, path });
    else progress.milestone(`${terminal.errStyle("green", "✓")} ${model} is at ${path}`);
  } catch (error) {
    if (signal.aborted) progress.milestone(`paused; go on with: exo pull ${model}`);
    throw error;
  }
}

/** Files that are not what the hub said are removed, so that the next pull fetches them anew. */
async function verified(session: Session, model: string): Promise<void> {
  const { verify } = await import("#actors/shard-worker/weights/store-verify");
  const { progress, json } = session;
  const { path, name } = await modelAt(session, model, false);
  const stored = (await storedModels(session)).find((each) => each.path === path);
  if (!stored)
    throw new CommandProblem(
      EXIT.checkFailed,
      `${name} did not come from the hub: there is nothing to check it against`,
    );
  const result = await verify(stored, (file) => progress.status(`checking ${file}`));
  progress.end();
  if (json) printJson(session, "pull", { event: "verified", model, ...result });
  if (result.damaged.length > 0) {
    const remedy = `fetch them anew: exo pull ${model}`;
    throw new CommandProblem(EXIT.checkFailed, `damaged and removed: ${result.damaged.join(", ")}`, {
      remedy,
    });
  }
  if (result.verified.length === 0) {
    throw new CommandProblem(
      EXIT.checkFailed,
      `${name} did not come from the hub: there is nothing to check it against`,
    );
  }
  if (!json) progress.milestone(`${name}: ${result.verified.length} files are as the hub has them`);
}
