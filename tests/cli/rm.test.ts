/** What exo rm deletes, and what it leaves as somebody uses it. */
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exo, freshFolder, type Ran } from "./exo.ts";
import { fakeDaemon } from "./fake-daemon.ts";

/** A home in which some of `m` was fetched, as several versions of it; answers where these lie. */
function withParts(home: string, ...digests: readonly string[]): readonly string[] {
  return digests.map((digit) => {
    const folder = join(home, "exo", "models", ".parts", digit.repeat(64));
    mkdirSync(join(folder, "files"), { recursive: true });
    writeFileSync(join(folder, "model.json"), JSON.stringify({ model: "m", files: [] }));
    return folder;
  });
}

/** A machine on which that daemon runs. */
function served(home: string, url: string): void {
  mkdirSync(join(home, "exo", "run"), { recursive: true });
  writeFileSync(
    join(home, "exo", "run", "daemon.json"),
    JSON.stringify({ url, pid: process.pid, version: "1" }),
  );
}

const removed = (home: string): Promise<Ran> => exo(["rm", "m", "--yes"], { home });

test("parts of a model stay while they are fetched, and go once they are not", async () => {
  using home = freshFolder();
  const [folder = ""] = withParts(home.path, "a");
  const fetching = { model: "m", path: "", state: "loading", requests: 0, fetching: true };
  const refused = await (async () => {
    await using daemon = fakeDaemon({ models: [fetching] });
    served(home.path, daemon.url);
    return await removed(home.path);
  })();
  const stays = existsSync(folder);
  await using daemon = fakeDaemon({ models: [{ ...fetching, model: "other" }] });
  served(home.path, daemon.url);
  const done = await removed(home.path);
  expect([refused, stays, done, existsSync(folder)]).toEqual([
    { code: 8, out: "", err: expect.stringContaining("m is being fetched") },
    true,
    { code: 0, out: "", err: expect.stringContaining("deleted m") },
    false,
  ]);
});

test("a model that is there whole and in parts goes with its parts, and is named once", async () => {
  using home = freshFolder();
  const parts = withParts(home.path, "a", "b");
  const whole = join(home.path, "exo", "models", "m");
  mkdirSync(whole, { recursive: true });
  writeFileSync(join(whole, "config.json"), "{}");
  writeFileSync(join(whole, "model.safetensors"), "");
  const { code, err } = await removed(home.path);
  expect([code, err.match(/deleted/g), [whole, ...parts].filter((each) => existsSync(each))]).toEqual([
    0,
    ["deleted"],
    [],
  ]);
});
