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
  runsHere(home.path, daemon.url);
  using other = freshFolder();
  const found = await exo(["ps", "-q"], { home: home.path });
  const named = await exo(["ps", "-q", "--host", daemon.url], { home: other.path });
  const ran = { code: 0, out: "m\n", err: "" };
  expect([found, named]).toEqual([ran, ran]);
});

test("what cannot be said of the home at this moment is no reason to fetch a model from the hub", async () => {
  using home = freshFolder();
  const error = { message: "this machine's home is not open yet", code: "unavailable" };
  await using daemon = fakeDaemon({ failures: { "/exo/v1/checkpoint": { status: 503, error } } });
  runsHere(home.path, daemon.url);
  const ran = await exo(["run", "owner/name", "hi"], { home: home.path });
  expect([ran, daemon.asked.map(({ path }) => path)]).toEqual([
    { code: 8, out: "", err: "✗ this machine's home is not open yet\n" },
    ["/exo/v1/ps", "/exo/v1/checkpoint"],
  ]);
});

/** As the exo of that home says where it is. */
function runsHere(home: string, url: string): void {
  const run = join(home, "exo", "run");
  mkdirSync(run, { recursive: true });
  writeFileSync(join(run, "daemon.json"), JSON.stringify({ url, pid: process.pid, version: "0" }));
}
