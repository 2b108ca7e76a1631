/** A model that is asked of a slow machine, which could hold it, is answered by a much faster one of its home. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { exo, freshFolder } from "../cli/exo.ts";
import { members, started } from "./processes.ts";
import { linked } from "./streams.ts";

setDefaultTimeout(180_000);

const QUESTION = ["--seed", "7", "--temp", "1", "--max-tokens", "8", "Tell me of the sea."];

test("what a slow machine is asked goes to a fast one that has the model, unless its user says here", async () => {
  using folder = freshFolder();
  const [ada, bob] = await members(folder.path, ["ada", "bob"], []);
  if (!ada || !bob) throw new Error("two machines");
  const slow = ["env", "EXO_CPU_KERNELS=mlx", "EXO_THREADS=1"];
  await using first = await started(ada, { prefix: slow, watched: false });
  await using second = await started(bob);
  await linked([first, second]);
  const loadedAt = async ({ folder: home }: typeof ada) => {
    const { models } = JSON.parse((await exo(["ps", "--json"], { home })).out);
    return models.map(
      ({ stages }: { stages?: { name: string }[] }) => stages?.map(({ name }) => name) ?? "alone",
    );
  };
  const asked = async (...flags: readonly string[]) => {
    const answer = await exo(["run", "smollm2", ...flags, ...QUESTION], { home: ada.folder });
    // What bob has in memory by itself is not there twice for long.
    while ((await loadedAt(bob)).includes("alone"));
    const on = [await loadedAt(ada), await loadedAt(bob)];
    await exo(["stop", "smollm2"], { home: ada.folder });
    return { code: answer.code, said: answer.err, isAnswer: answer.out.length > 1, on };
  };
  const isKnown = async ({ folder: home }: typeof ada) =>
    JSON.parse((await exo(["plan", "smollm2", "--measure", "--json"], { home })).out).calibrated;
  for (const each of [ada, bob]) while (!(await isKnown(each)));
  await exo(["run", "smollm2", "--max-tokens", "1", "Hi"], { home: bob.folder });
  expect([await asked(), await asked("--nodes", "ada")]).toEqual([
    {
      code: 0,
      said: expect.stringMatching(
        /^smollm2 is on bob, predicted to answer [\d.]+ times as fast as ada \(--nodes ada: there\)\n$/,
      ),
      isAnswer: true,
      on: [[["bob"]], [["bob"]]],
    },
    {
      code: 0,
      said: expect.not.stringContaining("predicted"),
      isAnswer: true,
      on: [[["ada"]], [["ada"]]],
    },
  ]);
});
