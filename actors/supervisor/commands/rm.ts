/** `exo rm`: deletes models from this machine, after asking. */
import type { StoredModel } from "#actors/shard-worker/weights/store";
import { Problem } from "#protocol/problem";
import type { ModelState } from "#protocol/supervisor";
import { findDaemon } from "../daemon/daemon.ts";
import { CommandProblem, EXIT, usageProblem } from "../exit-code.ts";
import { nearest } from "../nearest.ts";
import { namedIn, placesOf, storedModels } from "../node/models.ts";
import { printJson, type Session } from "../session.ts";
import { shownBytes } from "../terminal/table.ts";

export async function rm(session: Session, names: readonly string[]): Promise<void> {
  const { remove } = await import("#actors/shard-worker/weights/store");
  const stored = [...(await storedModels(session)), ...(await partial(session))];
  const chosen = names.map((name) => storedAs(session, name, stored));
  await refuseLoaded(session, chosen);
  const bytes = chosen.reduce((sum, model) => sum + model.bytes, 0);
  await confirmed(session, `delete ${chosen.map(({ name }) => name).join(", ")} (${shownBytes(bytes)})?`);
  const places = await placesOf(session);
  for (const model of chosen) {
    await remove(model, places);
    if (!session.json) session.progress.milestone(`deleted ${model.name}`);
  }
  if (session.json) printJson(session, "rm", { removed: chosen.map(({ name }) => name), bytes });
}

/** Models of which this machine fetched parts. */
async function partial({ config }: Session): Promise<readonly StoredModel[]> {
  const { listPartial } = await import("#actors/shard-worker/weights/partial-copy");
  return (await listPartial(config.models.dir)).map(({ model: name, folder: path, bytes }) => ({
    name,
    path,
    bytes,
    format: "safetensors",
    modifiedSeconds: 0,
    quantisation: "",
    removable: true,
  }));
}

/** By the name `exo ls` shows, by repository or by path. */
function storedAs(session: Session, given: string, stored: readonly StoredModel[]): StoredModel {
  const wanted = namedIn(session, given);
  const found = stored.find(
    ({ name, repository, path }) => name === wanted || repository === wanted || path === wanted,
  );
  if (found) return found;
  const near = nearest(
    wanted,
    stored.map(({ name }) => name),
  );
  throw new Problem("notFound", `${given} is not on this machine`, {
    remedy: near ? `did you mean ${near}?` : "exo ls lists what is",
  });
}

/** Files that a worker has mapped must not vanish under it. */
async function refuseLoaded(session: Session, chosen: readonly StoredModel[]): Promise<void> {
  const daemon = session.config.host === undefined ? await findDaemon(session) : undefined;
  if (!daemon) return;
  const { models } = await daemon.get<{ models: readonly ModelState[] }>("/exo/v1/ps", session.signal);
  const held = chosen.find(({ path }) =>
    models.some(
      (model) => (model.path === path || model.path.startsWith(`${path}/`)) && model.state !== "failed",
    ),
  );
  if (held)
    throw new CommandProblem(EXIT.busy, `${held.name} is loaded`, {
      remedy: `unload it first: exo stop ${held.name}`,
    });
}

async function confirmed(session: Session, question: string): Promise<void> {
  if (session.yes) return;
  if (!session.terminal.inIsTerminal || session.json) throw usageProblem("deleting needs a yes", "add --yes");
  const { confirm } = await import("@clack/prompts");
  if ((await confirm({ message: question, initialValue: false })) === true) return;
  throw new Problem("cancelled", "nothing was deleted");
}
