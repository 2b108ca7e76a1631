import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "#actors/runtime/clock";
import { registerDaemon } from "#actors/supervisor/daemon/daemon";
import { configOf, surroundings } from "#actors/supervisor/home/config";
import { environmentOf, freshFolder } from "./exo.ts";
import { fakeDaemon } from "./fake-daemon.ts";

test("who waits for an exo that is slow to answer is told for whom, until it answers; of another nothing is said", async () => {
  using home = freshFolder();
  await using daemon = fakeDaemon();
  const run = join(home.path, "exo", "run");
  mkdirSync(run, { recursive: true });
  const other = { url: daemon.url, pid: process.pid, version: "0" };
  writeFileSync(join(run, "daemon.json"), JSON.stringify(other));
  const around = {
    ...surroundings([]),
    env: environmentOf(home.path),
    userHome: home.path,
    folder: home.path,
  };
  const said = async (after: Clock["after"]) => {
    const lines: string[] = [];
    const progress = {
      milestone: () => {},
      bar: () => {},
      status: (text: string) => void lines.push(text),
      end: () => void lines.push("end"),
    };
    const waiting = { config: configOf({}, around), clock: { ...systemClock, after }, progress };
    await registerDaemon(waiting, { ...other, pid: 0 });
    return lines;
  };
  const long = await said((_, tell) => {
    tell();
    return () => {};
  });
  expect([long, await said(() => () => {})]).toEqual([
    [`no answer yet from the exo that runs here (process ${process.pid}): waiting for it`, "end"],
    [],
  ]);
});
