/** Three real processes with real TLS on this machine know what each has, and how fast they reach each other. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { NodeView } from "#protocol/cluster";
import type { LinkView } from "#protocol/node";
import { exo, freshFolder } from "../cli/exo.ts";
import { members, type Running, started } from "./processes.ts";

setDefaultTimeout(180_000);

interface Seen {
  readonly nodes: readonly NodeView[];
  readonly links: readonly LinkView[];
}

const seenBy = async ({ url }: Running): Promise<Seen> =>
  JSON.parse(await (await fetch(`${url}/exo/v1/cluster`)).text());

/** As in processes.ts. */
const PATIENCE_MS = 60_000;

async function until(all: readonly Running[], isSo: (seen: Seen) => boolean): Promise<Seen> {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const seen = await Promise.all(all.map(seenBy));
    if (seen.every(isSo)) return seen[0] as Seen;
    if (performance.now() > endMs) throw new Error(`it never came: ${JSON.stringify(seen)}`);
    await Bun.sleep(50);
  }
}

test("every machine shows the facts of all, and every pair's latency; asked to, its bandwidth as well", async () => {
  using folder = freshFolder();
  const machines = await members(folder.path, ["ada", "bob", "cyd"], []);
  await using stack = new AsyncDisposableStack();
  const running = await Promise.all(machines.map(async (machine) => stack.use(await started(machine))));
  const known = await until(
    running,
    ({ nodes, links }) =>
      nodes.every(({ facts }) => facts !== undefined && facts.memoryBytes > 0) &&
      links.length === 6 &&
      links.every(({ latencyMs }) => latencyMs !== undefined),
  );
  const [first] = machines;
  const home = first?.folder ?? "";
  const measured = await exo(["links", "--measure", "--json"], { home });
  const { links }: Seen = JSON.parse(measured.out);
  const shown = await Promise.all(
    [["nodes"], ["links"], ["links", "--matrix"]].map((args) => exo(args, { home })),
  );
  console.info(shown.map(({ out }) => out).join("\n"));
  expect({
    chips: new Set(known.nodes.map(({ facts }) => facts?.chip)).size,
    media: [...new Set(known.links.map(({ medium }) => medium))],
    measured: links.filter(({ bytesPerSecond = 0 }) => bytesPerSecond > 0).length,
    codes: shown.map(({ code }) => code),
    rows: shown.map(({ out }) => out.trim().split("\n").length),
    database: await Bun.file(join(home, "exo", "node", "cluster.db")).exists(),
  }).toEqual({
    chips: 1,
    media: ["loopback"],
    measured: 6,
    codes: [0, 0, 0],
    rows: [4, 4, 4],
    database: true,
  });
});
