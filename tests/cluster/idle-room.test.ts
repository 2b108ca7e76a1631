/** An idle model of one machine gives way to one that is placed on it and on another, as processes. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { freshFolder } from "../cli/exo.ts";
import { heldAt, smollm2File } from "../e2e/product.ts";
import { llamaWeights, tinyConfig, tinyFolder } from "../e2e/tiny-folder.ts";
import { mayBoundMemory, memoryGroupOf } from "./memory-group.ts";
import { members, started } from "./processes.ts";
import { linked } from "./streams.ts";

setDefaultTimeout(180_000);

/** Some 300 MB of zeros: more than what processes take now and then matters beside. */
const SEA = {
  ...tinyConfig,
  ...{ hidden_size: 512, intermediate_size: 2048, num_hidden_layers: 18 },
};
/** A worker without layers, and what is left to other programs, are counted with 386 MB (planner/memory-estimate.ts). */
const LEFT_BYTES = 220e6;

function readied(folder: string, hasSea: boolean): void {
  const models = join(folder, "exo", "models");
  mkdirSync(models, { recursive: true });
  symlinkSync(smollm2File(), join(models, "moon.gguf"));
  appendFileSync(join(folder, "exo", "exo.yaml"), "models:\n  idle_seconds: 1\n");
  if (!hasSea) return;
  const zeros = (shape: readonly number[]) => {
    const bytes = 4 * shape.reduce((size, each) => size * each, 1);
    return { dtype: "F32", shape, data: new Uint8Array(bytes) };
  };
  tinyFolder(join(models, "sea"), {
    "config.json": JSON.stringify(SEA),
    "model.safetensors": llamaWeights(SEA, { matrix: zeros, norm: zeros }),
  });
}

/** Looked for seldom enough to cost nothing: a machine looks at its memory every five seconds. */
async function shown(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await Bun.sleep(200);
}

async function load(url: string, body: object): Promise<readonly unknown[]> {
  const answer = await fetch(`${url}/exo/v1/load`, { method: "POST", body: JSON.stringify(body) });
  const { notes, error }: { notes?: string[]; error?: { message: string } } = JSON.parse(await answer.text());
  return [answer.status, notes ?? error?.message];
}

test.skipIf(!mayBoundMemory()).each([
  ["that one machine holds by itself", {}, "sea on bob"],
  ["that the home placed", { nodes: ["bob"] }, "sea"],
])(
  "a model %s and nobody asks gives way to one that is placed on its machine and another",
  async (_, where, name) => {
    using folder = freshFolder();
    const machines = await members(folder.path, ["ada", "bob"], []);
    for (const each of machines) readied(each.folder, each.name === "bob");
    await using stack = new AsyncDisposableStack();
    const [ada, bob] = await Promise.all(machines.map(async (each) => stack.use(await started(each))));
    if (!ada || !bob) throw new Error("two machines were to start");
    using group = memoryGroupOf(bob.pid);
    await linked([ada, bob]);
    const before = await load(bob.url, { model: "sea", ...where });
    await shown(async () => (await heldAt(bob.url))[0]?.idle === true);
    group.leave(LEFT_BYTES);
    const toldBytes = async () => (await ada.nodes()).find(({ name }) => name === "bob")?.facts?.freeBytes;
    await shown(async () => ((await toldBytes()) ?? Number.POSITIVE_INFINITY) < 2 * LEFT_BYTES);
    const placed = await load(ada.url, { model: "moon", nodes: ["ada", "bob"] });
    const held = (await heldAt(bob.url)).map(({ model, stages }) => [model, stages?.length]);
    expect({ before, placed, held }).toEqual({
      before: [200, undefined],
      placed: [200, [`${name} was stopped for it, as nobody asked it anything`]],
      held: [["moon", 2]],
    });
  },
);
