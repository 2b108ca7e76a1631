/** `exo bench` with a placement grid, against two machines of one home: real processes, an engine that computes. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Report } from "#actors/supervisor/bench/report";
import { exo, freshFolder } from "../cli/exo.ts";
import { members, msUntil, started } from "../cluster/processes.ts";
import { tinyConfig, tinyFolder } from "../e2e/tiny-folder.ts";

/** Machines and engines start here, one after another. */
setDefaultTimeout(180_000);

test("a model is measured on each machine that the config names, and is out of memory after it", async () => {
  using folder = freshFolder();
  const [ada, bob] = await members(folder.path, ["ada", "bob"], []);
  if (!ada || !bob) throw new Error("two machines");
  const config = JSON.stringify({ ...tinyConfig, max_position_embeddings: 2048 });
  for (const { folder: own } of [ada, bob])
    tinyFolder(join(own, "exo", "models", "tiny"), { "config.json": config });
  await using first = await started(ada);
  await using second = await started(bob);
  await msUntil([first, second], ({ ada: one, bob: two }) =>
    [one, two].every((each) => /^(self|up)/.test(each ?? "")),
  );
  await Bun.write(
    join(ada.folder, "c.yaml"),
    `models: [tiny]
require: {nodes: "=2"}
defaults: {repeat: 1, warmup: 0}
placement: {strategy: auto, nodes: [[ada], [bob], [ada, bob], [cyd]]}
scenarios: [{name: s, prompt_tokens: 20, output_tokens: 6}]
`,
  );
  const { code, out, err } = await exo(["bench", "c.yaml", "--json"], { home: ada.folder });
  const held = await exo(["ps", "--json"], { home: ada.folder });
  if (code !== 0) throw new Error(err + out);
  const { cells, skipped, warnings } = JSON.parse(out) as Pick<Report, "cells" | "skipped" | "warnings">;
  expect({
    measured: cells.map(({ placement, summary }) => [placement, summary.errors, summary.outputTokens]),
    layers: warnings.filter((text) => text.includes("layers are on")),
    skipped,
    held: JSON.parse(held.out).models,
  }).toEqual({
    measured: [
      ["auto on ada", 0, 6],
      ["auto on bob", 0, 6],
    ],
    layers: ["tiny, auto on ada: layers are on ada 0–0", "tiny, auto on bob: layers are on bob 0–0"],
    skipped: [
      // One layer is not for two.
      { what: "tiny, auto on ada + bob", reason: expect.stringContaining("no plan fits tiny") },
      {
        what: "tiny, auto on cyd",
        reason: "no machine of this home is called cyd; exo nodes lists them",
      },
    ],
    held: [],
  });
});
