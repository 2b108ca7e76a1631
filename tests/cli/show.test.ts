import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { tinyFolder } from "../e2e/tiny-folder.ts";
import { exo, freshFolder } from "./exo.ts";

test("names of other machines reach the terminal as text, whatever is in them", async () => {
  using home = freshFolder();
  const folder = tinyFolder(join(home.path, "exo", "models", "tiny"));
  const machines = ["ada\u001b[2J", "bob\nloaded  yes"];
  writeFileSync(join(folder, "exo-origin.json"), JSON.stringify({ machines, digest: "0" }));
  const { out } = await exo(["show", "tiny"], { home: home.path });
  expect(/fetched from.*/.exec(out)?.[0]).toBe("fetched from  ada\ufffd[2J, bob loaded  yes, of this home");
});
