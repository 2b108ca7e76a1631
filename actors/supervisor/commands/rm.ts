/** `exo rm`: deletes models from this machine, after asking. */
import { rm as deleted } from "node:fs/promises";
import type { StoredModel } from "#actors/shard-worker/weights/store";
import { Problem } from "#protocol/problem";
import type { ModelState } from "#protocol/supervisor";
import { findDaemon } from "../daemon/daemon.ts";
import { CommandProblem, EXIT, usageProblem } from "../exit-code.ts";
import { nearest } from "../nearest.ts";
import { namedIn, placesOf, storedModels } from "../node/models.ts";
import { printJson, type Session } from "../session.ts";
import { shownBytes } from "../terminal/table.ts";

/** A model of this disk, whole or in parts. */
interface Found extends Pick<StoredModel, "name" | "repository" | "path" | "bytes"> {
  /** Some of it, fetched from other machines. */
  readonly isPartial: boolean;
  readonly remove: () => Promise<void>;
}

export async function rm(session: Session, names: readonly string[]): Promise<void> {
  const stored = [...(await whole(session)), ...(await partial(session))];
  const chosen = [...new Set(names.flatMap((name) => storedAs(session, name, stored)))];
  await refuseUsed(session, chosen);
  const bytes = chosen.reduce((sum, model) => sum + model.bytes, 0);
  const removed = [...new Set(chosen.map(({ name }) => name))];
  await confirmed(session, `delete ${removed.join(", ")} (${shownBytes(bytes)})?`);
  for (const name of removed) {
    for (const model of chosen) if (model.name === name) await model.remove();
    if (!session.json) session.progress.milestone(`deleted ${name}`);
  }
  if (session.json) printJson(session, "rm", { removed, bytes });
}

async function whole(session: Session): Promise<readonly Found[]> {
  const { remove } = await import("#actors/shard-worker/weights/store");
  const places = await placesOf(session);
  const stored = await storedModels(session);
  return stored.map((model) => ({ ...model, isPartial: false, remove: () => remove(model, places) }));
}

async function partial({ config }: Session): Promise<readonly Found[]> {
  const { listPartial } = await import("#actors/shard-worker/weights/partial-list");
  return (await listPartial(config.models.dir)).map(({ model: name, folder: path, bytes }) => ({
    ...{ name, path, bytes },
    isPartial: true,
    remove: () => deleted(path, { recursive: true }),
  }));
}

/** By the name `exo ls` shows, by repository or by path; with all parts that go by the same name. */
function storedAs(session: Session, given: string, stored: readonly Found[]): readonly Found[] {
  const wanted = namedIn(session, given);
  const found = stored.find(
    ({ name, repository, path }) => name === wanted || repository === wanted || path === wanted,
  );
  if (found) return stored.filter((each) => each === found || (each.isPartial && each.name === found.name));
  const near = nearest(
    wanted,
    stored.map(({ name }) => name),
  );
  throw new Problem("notFound", `${given} is not on this machine`, {
    remedy: near ? `did you mean ${near}?` : "exo ls lists what is",
  });
}

/** Files that a worker has mapped, or that are on their way, must not vanish under it. */
async function refuseUsed(session: Session, chosen: readonly Found[]): Promise<void> {
  const daemon = session.config.host === undefined ? await findDaemon(session) : undefined;
  if (!daemon) return;
  const { models } = await daemon.get<{ models: readonly ModelState[] }>("/exo/v1/ps", session.signal);
  const used = models.filter(({ state }) => state !== "failed");
  const fetched = chosen.find(
    ({ isPartial, name }) => isPartial && used.some((each) => each.fetching && each.model === name),
  );
  const held = chosen.find(({ path }) =>
    used.some((each) => each.path === path || each.path.startsWith(`${path}/`)),
  );
  const { name } = fetched ?? held ?? {};
  if (name === undefined) return;
  throw new CommandProblem(EXIT.busy, `${name} is ${fetched ? "being fetched" : "loaded"}`, {
    remedy: `unload it first: exo stop ${name}`,
  });
}

async function confirmed(session: Session, question: string): Promise<void> {
  if (session.yes) return;
  if (!session.terminal.inIsTerminal || session.json) throw usageProblem("deleting needs a yes", "add --yes");
  const { confirm } = await import("@clack/prompts");
  if ((await confirm({ message: question, initialValue: false })) === true) return;
  throw new Problem("cancelled", "nothing was deleted");
}
