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
  const asked = async (...flags: readonly string[]) => {
    const answer = await exo(["run", "smollm2", ...flags, ...QUESTION], { home: ada.folder });
    const { models } = JSON.parse((await exo(["ps", "--json"], { home: ada.folder })).out);
    await exo(["stop", "smollm2"], { home: ada.folder });
    const on = models[0]?.stages?.map(({ name }: { name: string }) => name);
    return { code: answer.code, said: answer.err, isAnswer: answer.out.length > 1, on };
  };
  // Both say how fast they are with it, which answers would tell in time, and tell the other some seconds later.
  const isKnown = async ({ folder: home }: typeof ada) =>
    JSON.parse((await exo(["plan", "smollm2", "--measure", "--json"], { home })).out).calibrated &&
    JSON.parse((await exo(["plan", "smollm2", "--json"], { home })).out).calibrated;
  for (const each of [ada, bob]) while (!(await isKnown(each)));
  expect([await asked(), await asked("--nodes", "ada")]).toEqual([
    {
      code: 0,
      said: "smollm2 is on bob, predicted to be much faster there (--nodes ada: here)\n",
      isAnswer: true,
      on: ["bob"],
    },
    { code: 0, said: expect.not.stringContaining("predicted"), isAnswer: true, on: ["ada"] },
  ]);
});
