/** A copied disk: two real processes with one identity, and members that see both. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exo, freshFolder } from "../cli/exo.ts";
import { members, msUntil, started, view } from "./processes.ts";

setDefaultTimeout(60_000);

test("two that run with one identity are both told, and the home links with neither; the copy becomes a machine of its own", async () => {
  using folder = freshFolder();
  const [ada, bob] = await members(folder.path, ["ada", "bob"], []);
  if (!ada || !bob) throw new Error("two machines were asked for");
  const copy = { name: "copy", folder: join(folder.path, "copy") };
  cpSync(bob.folder, copy.folder, { recursive: true });
  writeFileSync(join(copy.folder, "exo", "exo.yaml"), "cluster:\n  name: copy\n  port: 0\n");
  await using first = await started(ada);
  await using second = await started(bob);
  await msUntil([first, second], (seen) => Object.values(seen).every((state) => /^(self|up)/.test(state)));
  const third = await started(copy);
  const ms = await msUntil([first], ({ bob: state }) => state === "copied");
  const told = (of: { readonly folder: string }) => /has the identity of this one/.test(log(of));
  while (!told(bob) || !told(copy)) await Bun.sleep(20);
  const { out: shown } = await exo(["nodes"], { home: ada.folder });
  const { out: own } = await exo(["nodes"], { home: bob.folder });
  const led = await view(first);
  await third.kill("SIGTERM");
  const { code } = await exo(["node", "reset-identity", "-y"], { home: copy.folder });
  await using fresh = await started(copy);
  const alone = await view(fresh);
  expect({
    soon: ms < 5000,
    first: /two machines run with the identity/.test(log(ada)),
    shown: shown.includes("Two machines run with the identity of bob"),
    own: own.includes("Two machines run with the identity of bob"),
    led,
    code,
    alone,
  }).toEqual({
    soon: true,
    first: true,
    shown: true,
    own: true,
    led: { ada: "self*+", bob: "copied" },
    code: 0,
    alone: { copy: "self*+" },
  });
});

const log = ({ folder }: { readonly folder: string }): string => readFileSync(join(folder, "log"), "utf8");
