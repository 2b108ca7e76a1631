/** A home of whole `exo serve` processes on this machine, each with its workers pinned to a core of its own, real TLS between them. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { members, msUntil, started } from "../../tests/cluster/processes.ts";

export interface CoreHome extends AsyncDisposable {
  /** Of the machines, in the order of their cores. */
  readonly names: readonly string[];
  /** Asks the first; an answer that is no success is an error. */
  ask(path: string, body?: object): Promise<Response>;
}

/** On every machine is the model's file, under each of these names. */
export async function coreHome(cores: number, path: string, models = [basename(path)]): Promise<CoreHome> {
  await using starting = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "exo-cores-"));
  starting.defer(() => rmSync(folder, { recursive: true }));
  const names = Array.from({ length: cores }, (_, at) => `core${at}`);
  const machines = await members(folder, names, []);
  for (const each of machines) {
    mkdirSync(join(each.folder, "exo", "models"), { recursive: true });
    for (const model of models) symlinkSync(path, join(each.folder, "exo", "models", model));
  }
  const nodes = await Promise.all(
    machines.map(async (each, at) => {
      const node = await started(each, { prefix: ["taskset", "-c", String(at)], watched: false });
      starting.defer(async () => void (await node.kill("SIGTERM")));
      return node;
    }),
  );
  const isLinked = (view: Readonly<Record<string, string>>) =>
    Object.values(view).filter((state) => /^(self|up)/.test(state)).length === cores;
  await msUntil(nodes, isLinked);
  const running = starting.move();
  return {
    names,
    async ask(path, body) {
      const how = body && { method: "POST", body: JSON.stringify(body) };
      const answer = await fetch(`${nodes[0]?.url}${path}`, how);
      if (!answer.ok) throw new Error(await answer.text());
      return answer;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
