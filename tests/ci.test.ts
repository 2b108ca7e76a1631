/** What CI says last of a run that failed, from what the test runner really prints. */
import { expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { freshFolder } from "./cli/exo.ts";

const script = resolve(import.meta.dir, "..", ".ci", "failed.awk");

const TESTS = `import { expect, test } from "bun:test";
test("passes", () => console.log("noise".repeat(2)));
test("differs", () => {
  console.log("said before it failed");
  expect({ code: 5 }).toEqual({ code: 0 });
});
test("never ends", () => new Promise(() => {}), 50);
test("says much", () => {
  for (let i = 0; i < 400; i++) console.log("line " + i);
  expect(1).toBe(2);
});
`;

/** The runner prints otherwise for some who ask: only so does it what this test asks for. */
function said(folder: string, room: number, asker: Readonly<Record<string, string>> = {}): string {
  const log = join(folder, "log");
  const env = { PATH: process.env.PATH ?? "", HOME: folder, ...asker };
  Bun.spawnSync(["sh", "-c", '"$0" test >"$1" 2>&1', process.execPath, log], { cwd: folder, env });
  const { stdout, exitCode } = Bun.spawnSync(["awk", "-v", `room=${room}`, "-f", script, log]);
  expect(exitCode).toBe(0);
  return `${stdout}`;
}

const titlesIn = (text: string): readonly string[] => [...(text.match(/^==== .*(?= \[)/gm) ?? [])];

test("the end of a failed run says of every failed test what it said, within bounds, and nothing of the others", async () => {
  using folder = freshFolder();
  await Bun.write(join(folder.path, "some.test.ts"), TESTS);
  const titles = ["differs", "never ends", "says much"].map((name) => `==== some.test.ts ${name}`);
  const all = said(folder.path, 100_000);
  expect({
    titles: titlesIn(all),
    before: all.includes("said before it failed"),
    expected: all.includes('-   "code": 0,\n+   "code": 5,'),
    late: all.includes("timed out after 50ms"),
    long: [all.includes("line 0\n"), all.includes("line 200\n"), all.includes("Received: 1")],
    passed: all.includes("noisenoise"),
    bounded: said(folder.path, 900).length < 1_000,
    grouped: titlesIn(said(folder.path, 100_000, { GITHUB_ACTIONS: "true" })),
  }).toEqual({
    titles,
    before: true,
    expected: true,
    late: true,
    long: [true, false, true],
    passed: false,
    bounded: true,
    grouped: titles,
  });
});
