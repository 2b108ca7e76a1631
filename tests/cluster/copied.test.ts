/** A copied disk: two real processes with one identity, and members that see both. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exo, freshFolder } from "../cli/exo.ts";
import { members, msUntil, started, view } from "./processes.ts";

setDefaultTimeout(180_000);

/** A home of two, and a copy of the second one's disk that listens elsewhere. */
async function copied(folder: string) {
  const [ada, bob] = await members(folder, ["ada", "bob"], []);
  if (!ada || !bob) throw new Error("two machines were asked for");
  const copy = { name: "copy", folder: join(folder, "copy") };
  cpSync(bob.folder, copy.folder, { recursive: true });
  writeFileSync(join(copy.folder, "exo", "exo.yaml"), "cluster:\n  name: copy\n  port: 0\n");
  return { ada, bob, copy };
}

test("two that run with one identity are both told, and the home links with neither; the copy becomes a machine of its own", async () => {
  using folder = freshFolder();
  const { ada, bob, copy } = await copied(folder.path);
  await using first = await started(ada);
  await using second = await started(bob);
  await msUntil([first, second], (seen) => Object.values(seen).every((state) => /^(self|up)/.test(state)));
  const third = await started(copy);
  await msUntil([first], ({ bob: state }) => state === "copied");
  while (!told(bob) || !told(copy)) await Bun.sleep(20);
  const { out: shown } = await exo(["nodes"], { home: ada.folder });
  const { out: own } = await exo(["nodes"], { home: bob.folder });
  const led = await view(first);
  await third.kill("SIGTERM");
  const { code } = await exo(["node", "reset-identity", "-y"], { home: copy.folder });
  await using fresh = await started(copy);
  const alone = await view(fresh);
  expect({
    first: /two machines run with the identity/.test(log(ada)),
    shown: shown.includes("Two machines run with the identity of bob"),
    own: own.includes("tells that two run with the identity of bob"),
    led,
    code,
    alone,
  }).toEqual({
    first: true,
    shown: true,
    own: true,
    led: { ada: "self*+", bob: "copied" },
    code: 0,
    alone: { copy: "self*+" },
  });
});

test("two with one identity that start at the same moment are both told", async () => {
  using folder = freshFolder();
  const { ada, bob, copy } = await copied(folder.path);
  await using stack = new AsyncDisposableStack();
  const first = stack.use(await started(ada));
  for (const twin of await Promise.all([bob, copy].map((machine) => started(machine)))) stack.use(twin);
  await msUntil([first], ({ bob: state }) => state === "copied");
  while (!told(bob) || !told(copy)) await Bun.sleep(20);
  expect(await view(first)).toEqual({ ada: "self*+", bob: "copied" });
});

const told = (of: { readonly folder: string }) => /has the identity of this one/.test(log(of));
const log = ({ folder }: { readonly folder: string }): string => readFileSync(join(folder, "log"), "utf8");
