/** `exo ls`: the models on this machine's disk; needs no daemon. */
import { storedModels } from "../node/models.ts";
import { printJson, type Session } from "../session.ts";
import { shownAge, shownBytes, table } from "../terminal/table.ts";

export async function ls(session: Session): Promise<void> {
  const { terminal, clock, json, quiet } = session;
  const models = await storedModels(session);
  const { listPartial } = await import("#actors/shard-worker/weights/partial-list");
  const partial = await listPartial(session.config.models.dir);
  if (json) return printJson(session, "ls", { models, ...(partial.length > 0 && { partial }) });
  if (quiet) return terminal.out(models.map(({ name }) => `${name}\n`).join(""));
  if (models.length + partial.length === 0)
    return terminal.err("no models yet; fetch one: exo pull smollm2\n");
  const now = clock.epochSeconds();
  const parts = partial.map(({ model, bytes }) => [model, shownBytes(bytes), "parts", "-", "-"]);
  const rows = models.map((model) => [
    model.name,
    shownBytes(model.bytes),
    model.format,
    model.quantisation,
    shownAge(now - model.modifiedSeconds),
  ]);
  const width = terminal.outIsTerminal ? { width: terminal.columns() } : {};
  terminal.out(table(["name", "size", "format", "quantisation", "modified"], [...rows, ...parts], width));
}
