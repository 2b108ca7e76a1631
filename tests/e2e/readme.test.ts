/** README's first commands are what a newcomer types: each must be a script of package.json that does what the text says. */
import { expect, test } from "bun:test";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dir, "..", "..");
const readme = await Bun.file(join(root, "README.md")).text();
const { scripts }: { readonly scripts: Readonly<Record<string, string>> } = await Bun.file(
  join(root, "package.json"),
).json();

/** The text from a heading to the next of its level. */
const section = (title: string): string =>
  readme.split(/^## /m).find((each) => each.startsWith(`${title}\n`)) ?? "";

const commands = [...section("Quick start").matchAll(/^```sh\n(.*?)\n```$/gms)].map(
  ([, block = ""]) => block,
);

/** The name of the script that an `npm run` or `npm test` line runs. */
const scriptOf = (command = ""): string | undefined =>
  /^npm (?:run (?:--silent )?([\w:-]+)|(test))$/
    .exec(command)
    ?.slice(1)
    .find((name) => name !== undefined);

test("Quick start begins with two commands of one line each, both scripts of package.json", () => {
  const [first, second] = commands;
  expect(
    [scriptOf(first), scriptOf(second)].map((name) => [name, name !== undefined && name in scripts]),
  ).toEqual([
    ["quickstart", true],
    ["test", true],
  ]);
});

test("the first command prepares, builds and asks the binary; the second prepares, builds and checks", () => {
  const steps = (name: string) => scripts[name]?.replaceAll("--silent ", "").split(" && ") ?? [];
  expect([steps("quickstart"), steps("test"), scripts.check?.includes("bun test")]).toEqual([
    ["node mlx-c/bootstrap.mjs", "bun run build", 'dist/exo run smollm2 "What is the capital of France?"'],
    ["node mlx-c/bootstrap.mjs", "bun run build", "bun run check"],
    true,
  ]);
});

test("Quick start names every prerequisite with the version it needs, above the commands", () => {
  const [prerequisites = ""] = section("Quick start").split("```sh");
  const missing = ["Node", "npm", "Python 3", "pip", "cargo", "C\\+\\+20", "cmake", "ninja"].filter(
    (name) => !new RegExp(name).test(prerequisites),
  );
  expect([missing, /Node \d+/.test(prerequisites), /cmake \d/.test(prerequisites)]).toEqual([[], true, true]);
});

test("the continuous integration runs README's test command", async () => {
  expect(await Bun.file(join(root, ".ci", "run")).text()).toContain(commands[1] ?? "no second command");
});
