/** `exo ps`: what the running exo holds in memory. */
import type { ModelState } from "#protocol/supervisor";
import { needDaemon } from "../daemon/daemon.ts";
import { printJson, type Session } from "../session.ts";
import { cell, shownStages } from "../terminal/node-words.ts";
import { shownBytes, table } from "../terminal/table.ts";

export async function ps(session: Session): Promise<void> {
  const { terminal, json, quiet, signal } = session;
  const daemon = await needDaemon(session);
  const { models } = await daemon.get<{ models: readonly ModelState[] }>("/exo/v1/ps", signal);
  if (json) return printJson(session, "ps", { url: daemon.url, models });
  if (quiet) return terminal.out(models.map(({ model }) => `${model}\n`).join(""));
  if (models.length === 0) return terminal.err(`no model is loaded at ${daemon.url}\n`);
  const rows = models.map((each) => [
    each.model,
    stateOf(each),
    each.facts ? shownBytes(each.facts.weightBytes) : "-",
    each.facts?.quantisation ?? "-",
    each.facts ? String(each.facts.contextLength) : "-",
    String(each.requests),
    String(each.pid ?? "-"),
    each.stages ? shownStages(each.stages) : "-",
  ]);
  const headers = ["model", "state", "weights", "quantisation", "context", "requests", "pid"];
  const isPlaced = models.some(({ stages }) => stages);
  const width = terminal.outIsTerminal ? { width: terminal.columns() } : {};
  terminal.out(
    isPlaced
      ? table([...headers, "layers"], rows, width)
      : table(
          headers,
          rows.map((row) => row.slice(0, headers.length)),
          width,
        ),
  );
  for (const reason of models.flatMap(reasonOf)) terminal.err(`${reason}\n`);
}

/** What a column has no room for; another machine may have said it. */
function reasonOf({ model, problem, unmet }: ModelState): readonly string[] {
  if (problem) return [cell(`${model} failed: ${problem.message}`)];
  return unmet === undefined ? [] : [cell(`the workers of ${model} cannot meet yet: ${unmet}`)];
}

/** `idle` for what gives way to another model, `fetching 40 %` and `loading 40 %` while it does so, else the state. */
function stateOf({ state, loadedBytes, totalBytes, fetching, idle }: ModelState): string {
  if (state === "ready" && idle) return "idle";
  if (state !== "loading" || !loadedBytes || !totalBytes) return state;
  return `${fetching ? "fetching" : "loading"} ${Math.floor((100 * loadedBytes) / totalBytes)} %`;
}
