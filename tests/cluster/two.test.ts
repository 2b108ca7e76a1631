/** A home of two whose voter is gone: no majority is left, and its user decides (reliability.md 4.2). */
import { expect, setDefaultTimeout, test } from "bun:test";
import { exo, freshFolder } from "../cli/exo.ts";
import { members, msUntil, started } from "./processes.ts";

setDefaultTimeout(180_000);

test("who leads and dies is shown to lead no more, and the other leads by the command that exo nodes names", async () => {
  using folder = freshFolder();
  const [ada, bob] = await members(folder.path, ["ada", "bob"], []);
  if (!ada || !bob) throw new Error("two machines");
  await using first = await started(ada);
  await using second = await started(bob);
  await msUntil(
    [first, second],
    ({ ada: one, bob: two }) => /^(self|up)\*\+$/.test(one ?? "") && two !== undefined,
  );
  await msUntil([second], ({ ada: state }) => state === "up*+");
  await first.kill("SIGKILL");
  await msUntil([second], ({ ada: state }) => state === "dead+");
  const { out } = await exo(["nodes"], { home: bob.folder });
  const [, command = ""] = /exo (node 'bob' takeover)/.exec(out) ?? [];
  const changing = await exo(["node", "bob", "label", "x=y"], { home: bob.folder });
  const taken = await exo([...command.replaceAll("'", "").split(" "), "--yes"], { home: bob.folder });
  await msUntil([second], ({ bob: state }) => state === "self*+");
  const after = await exo(["nodes"], { home: bob.folder });
  expect({
    command,
    changing: [changing.code, changing.err],
    taken: taken.code,
    after: after.out.includes("takeover"),
  }).toEqual({
    command: "node 'bob' takeover",
    changing: [expect.any(Number), expect.stringContaining("no machine leads this home now")],
    taken: 0,
    after: false,
  });
});
