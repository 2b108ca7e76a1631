/** A member whose port another program has: it says so, and reaches the others all the same. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { freshFolder } from "../cli/exo.ts";
import { members, msUntil, started } from "./processes.ts";

setDefaultTimeout(180_000);

test("a port that is taken is named with its setting, and the machine dials instead of being dialled", async () => {
  using folder = freshFolder();
  const [ada, bob] = await members(folder.path, ["ada", "bob"], []);
  if (!ada || !bob) throw new Error("two machines were asked for");
  const other = Bun.listen({ hostname: "0.0.0.0", port: bob.port, socket: { data: () => {} } });
  await using first = await started(ada);
  await using second = await started(bob);
  await msUntil([first, second], (seen) => Object.values(seen).every((state) => /^(self|up)/.test(state)));
  other.stop(true);
  const said = await Bun.file(join(bob.folder, "log")).text();
  expect(
    said
      .replaceAll(String(bob.port), "PORT")
      .split("\n")
      .filter((line) => line.includes("PORT")),
  ).toEqual([
    expect.stringMatching(
      /cannot listen on 0\.0\.0\.0:PORT.*other machines cannot reach this one.*cluster\.port/,
    ),
  ]);
});
