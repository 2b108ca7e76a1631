/** An exo that has much else to do, as the command line finds it. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exo, freshFolder } from "./exo.ts";
import { fakeDaemon, loadedModel } from "./fake-daemon.ts";

/** Longer than who answers at all takes where nothing else runs. */
const SLOW_MS = 1_500;

test("a running exo that is slow to say that it is well is found, by this home's file and by its address", async () => {
  using home = freshFolder();
  await using daemon = fakeDaemon({ models: [loadedModel("m")], slowMs: SLOW_MS });
  const run = join(home.path, "exo", "run");
  mkdirSync(run, { recursive: true });
  const file = { url: daemon.url, pid: process.pid, version: "0" };
  writeFileSync(join(run, "daemon.json"), JSON.stringify(file));
  using other = freshFolder();
  const found = await exo(["ps", "-q"], { home: home.path });
  const named = await exo(["ps", "-q", "--host", daemon.url], { home: other.path });
  const ran = { code: 0, out: "m\n", err: "" };
  expect([found, named]).toEqual([ran, ran]);
});
