/** What is there for tests alone must not be in the program that users have, and nothing of it is set by a variable that none is told of. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { compiled } from "./exo.ts";

setDefaultTimeout(60_000);

const root = resolve(import.meta.dir, "..", "..");
const [binary = ""] = compiled;
/** Shorter ones, or of one word, stand by chance in what others wrote. */
const DISTINCT = /^(?=.{8})\w*[a-z][A-Z]\w*$/;
const WORD = /[A-Za-z_$][\w$]{7,63}/g;

const filesOf = (...patterns: readonly string[]): readonly string[] =>
  patterns.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: root })]);
const isForTests = (path: string) => /(^tests\/|\/test\/|\.test\.ts$)/.test(path);
const wordsOf = (text: string): readonly string[] => text.match(WORD) ?? [];
const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

/** Names that only tests declare, and that somebody else could import: others may stand by chance in what the program was bundled from. */
function hooks(): readonly string[] {
  const files = filesOf("{actors,ffi,protocol,tests}/**/*.ts");
  const product = new Set(files.filter((path) => !isForTests(path)).flatMap((path) => wordsOf(textOf(path))));
  const declared = files
    .filter(isForTests)
    .flatMap((path) => [...textOf(path).matchAll(/^export (?:async )?(?:class|const|function) (\w+)/gm)])
    .map(([, name = ""]) => name);
  return [...new Set(declared)].filter((name) => DISTINCT.test(name) && !product.has(name));
}

test("T49 the program has nothing of the tests in it, no word that makes it fail, and no setting that README leaves out", () => {
  const whole = readFileSync(binary).subarray(statSync(process.execPath).size).toString("latin1");
  const there = new Set(wordsOf(whole));
  const triggers = ["RUNNER MUST FAIL", "RUNNER MUST OOM", "RUNNER MUST TIMEOUT"];
  const told = new Set(textOf("README.md").match(/EXO_[A-Z_]+/g));
  const names = hooks();
  expect({
    searched: names.length > 50 && there.has("ClusterNode"),
    hooks: names.filter((name) => there.has(name)),
    triggers: triggers.filter((words) => whole.includes(words)),
    settings: [...new Set(whole.match(/\bEXO_[A-Z_]{3,}/g))].filter((name) => !told.has(name)),
  }).toEqual({ searched: true, hooks: [], triggers: [], settings: [] });
});
