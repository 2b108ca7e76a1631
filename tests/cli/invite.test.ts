/** What `exo invite` says of an invite's end. */
import { expect, test } from "bun:test";
import { exo, freshFolder } from "./exo.ts";
import { fakeDaemon } from "./fake-daemon.ts";

test("of a machine that was let in and did not confirm it nothing else is said, and that is a failure", async () => {
  using home = freshFolder();
  const trouble = "mini was let in and did not confirm it";
  const joined = { node: "k7qm2xtb", name: "mini" };
  await using daemon = fakeDaemon({
    answers: {
      "/exo/v1/invite": {
        code: "K7QM-2XTP",
        long: "exo:K7QM2XTP@h:1",
        port: 1,
        expires_in_seconds: 60,
        tries: 3,
      },
      "/exo/v1/invite/watch": { state: "used", tries_left: 2, seconds_left: 50, joined, trouble, seen: "1" },
    },
  });
  const [shown, json] = await Promise.all([
    exo(["invite", "--host", daemon.url], { home: home.path }),
    exo(["invite", "--host", daemon.url, "--json"], { home: home.path }),
  ]);
  const said = json.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).schema);
  expect({ code: shown.code, end: shown.err.split("Ctrl-C ends it\n")[1], json: json.code, said }).toEqual({
    code: 1,
    end: `✗ ${trouble}\n`,
    json: 1,
    said: ["exo.invite/1", "exo.error/1"],
  });
});
