/** Two models that do not fit into a machine's memory together, as processes: who asks for the second gets it, once nobody uses the first. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freshFolder } from "../cli/exo.ts";
import { type Held, heldAt, smollm2File } from "../e2e/product.ts";
import { until } from "../node/crashes.ts";
import { mayBoundMemory, memoryGroupOf } from "./memory-group.ts";
import { started } from "./processes.ts";

setDefaultTimeout(180_000);

/** What a worker wants to be free beside weights. */
const SPARE_BYTES = 128e6;

/** A home with three models of one size; with `keep`, those never give way. */
function homeIn(folder: string, keep: string): string {
  const models = join(folder, "exo", "models");
  mkdirSync(models, { recursive: true });
  symlinkSync(smollm2File(), join(models, "sea.gguf"));
  for (const name of ["dune", "moon"]) copyFileSync(smollm2File(), join(models, `${name}.gguf`));
  writeFileSync(join(folder, "exo", "exo.yaml"), `models:\n  idle_seconds: 1\n  keep: [${keep}]\n`);
  return folder;
}

const shown = (held: readonly Held[]) => held.map(({ model, state }) => `${model} ${state}`);

test.skipIf(!mayBoundMemory())(
  "a model that is not used gives way to one that needs its memory, unless it is to be kept",
  async () => {
    const outcomes: unknown[] = [];
    for (const keep of ["sea", "none"]) {
      using folder = freshFolder();
      await using exo = await started(
        { name: "ada", folder: homeIn(folder.path, keep) },
        { watched: false, args: ["--no-discovery"] },
      );
      using group = memoryGroupOf(exo.pid);
      const load = async (model: string) => {
        const answer = await fetch(`${exo.url}/exo/v1/load`, {
          method: "POST",
          body: JSON.stringify({ model }),
        });
        const { notes, error }: { notes?: string[]; error?: { message: string } } = JSON.parse(
          await answer.text(),
        );
        return [answer.status, notes?.join() ?? error?.message];
      };
      const loaded = [await load("sea"), await load("dune")];
      // As long unused as the one that is kept; it began to be later.
      const held = await until(
        async () => await heldAt(exo.url),
        (all) => all.find(({ model }) => model === "dune")?.idle === true,
      );
      const idle = held.filter((each) => each.idle).map(({ model }) => model);
      const weightBytes = held[0]?.facts?.weightBytes ?? 0;
      // Room for half of one: whichever goes makes enough, and both need not.
      group.leave(SPARE_BYTES + weightBytes / 2);
      outcomes.push([loaded, idle, await load("moon"), shown(await heldAt(exo.url))]);
    }
    const stopped = (model: string) =>
      expect.stringMatching(
        new RegExp(`^${model} was stopped for it, as nobody asked it anything for \\d+ s$`),
      );
    const both = Array(2).fill([200, undefined]);
    expect(outcomes).toEqual([
      [both, ["dune"], [200, stopped("dune")], ["sea ready", "moon ready"]],
      [both, ["sea", "dune"], [200, stopped("sea")], ["dune ready", "moon ready"]],
    ]);
  },
);
