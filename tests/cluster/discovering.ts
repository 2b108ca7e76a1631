/** Nodes of one segment that know nothing of each other: how soon all see all, and what they say once they do. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freshFolder } from "../cli/exo.ts";
import { segment } from "./namespaces.ts";
import { type Running, started } from "./processes.ts";

export interface Discovered {
  readonly nodes: number;
  /** From the moment the last node was ready until each listed all others. */
  readonly allPairsMs: number;
  readonly restSeconds: number;
  /** The node that says, and the one that hears, most. */
  readonly sentBytesPerSecond: number;
  readonly receivedBytesPerSecond: number;
}

/** Twentyfold what is promised of three (`bun run segment` says what it was): the machine may do much else meanwhile. */
const PATIENCE_MS = 60_000;

export async function discovering(
  nodes: number,
  { command, restSeconds }: { readonly command?: readonly string[]; readonly restSeconds: number },
): Promise<Discovered> {
  using folder = freshFolder();
  await using net = await segment(nodes);
  const stack = new AsyncDisposableStack();
  await using _ = stack;
  const start = async (_: unknown, node: number): Promise<Running> => {
    const name = `node${node}`;
    const home = join(folder.path, name);
    mkdirSync(join(home, "exo"), { recursive: true });
    writeFileSync(join(home, "exo", "exo.yaml"), `cluster:\n  name: ${name}\n`);
    const how = { prefix: net.on(node), args: [], ...(command && { command }) };
    return stack.use(await started({ name, folder: home }, how));
  };
  const running = await Promise.all(Array.from({ length: nodes }, start));
  const startMs = performance.now();
  const ask = async (node: number) => {
    const url = `${running[node]?.url}/exo/v1/cluster`;
    const child = Bun.spawn([...net.on(node), "curl", "-s", url]);
    const { nodes: seen }: { nodes: readonly object[] } = JSON.parse(await new Response(child.stdout).text());
    return seen.length;
  };
  const waiting = new Set(running.keys());
  while (waiting.size > 0) {
    for (const node of [...waiting]) if ((await ask(node)) === nodes) waiting.delete(node);
    if (performance.now() - startMs > PATIENCE_MS)
      throw new Error(`after ${PATIENCE_MS / 1000} s ${waiting.size} nodes do not see all others`);
  }
  const allPairsMs = Math.round(performance.now() - startMs);
  const counted = () => Promise.all(running.map((_, node) => net.bytes(node)));
  if (restSeconds > 0) await Bun.sleep(5000); // The impatience of the start is no rest.
  const before = await counted();
  await Bun.sleep(restSeconds * 1000);
  const after = await counted();
  const most = (what: "sent" | "received") =>
    Math.max(...after.map((each, i) => each[what] - (before[i]?.[what] ?? 0))) / Math.max(1, restSeconds);
  return {
    nodes,
    allPairsMs,
    restSeconds,
    sentBytesPerSecond: Math.round(most("sent")),
    receivedBytesPerSecond: Math.round(most("received")),
  };
}
