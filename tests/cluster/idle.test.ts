/** Two models that do not fit into a machine's memory together, as processes: who asks for the second gets it, once nobody uses the first. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freshFolder } from "../cli/exo.ts";
import { type Held, heldAt, smollm2File } from "../e2e/product.ts";
import { until } from "../node/crashes.ts";
import { mayBoundMemory, memoryGroupOf } from "./memory-group.ts";
import { started } from "./processes.ts";

setDefaultTimeout(120_000);

/** What a worker wants to be free beside weights. */
const SPARE_BYTES = 128e6;

/** A home with two models of one size; with `keep`, those never give way. */
function homeIn(folder: string, keep: string): string {
  const models = join(folder, "exo", "models");
  mkdirSync(models, { recursive: true });
  symlinkSync(smollm2File(), join(models, "sea.gguf"));
  copyFileSync(smollm2File(), join(models, "moon.gguf"));
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
      await load("sea");
      const [sea] = await heldAt(exo.url);
      group.leave(SPARE_BYTES + (sea?.facts?.weightBytes ?? 0) / 2);
      if (keep === "none")
        await until(
          async () => await heldAt(exo.url),
          ([held]) => held?.idle === true,
        );
      outcomes.push([await load("moon"), shown(await heldAt(exo.url))]);
    }
    expect(outcomes).toEqual([
      [[503, expect.stringMatching(/^moon takes .* of memory are free; unload other models/)], ["sea ready"]],
      [
        [200, expect.stringMatching(/^sea was stopped for it, as nobody asked it anything for \d+ s$/)],
        ["moon ready"],
      ],
    ]);
  },
);
