/** One model whose layers machines of a home share, as processes on this machine: what its user sees. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { exo, freshFolder } from "../cli/exo.ts";
import { members, msUntil, type Running, started } from "./processes.ts";

setDefaultTimeout(180_000);

const QUESTION = ["--seed", "7", "--temp", "1", "--max-tokens", "24", "Tell me of the sea."];

/** Every machine sees every other one. */
const linked = (all: readonly Running[]) =>
  msUntil(
    all,
    (view) =>
      Object.values(view).length === all.length &&
      Object.values(view).every((state) => /^(self|up)/.test(state)),
  );

test("three machines that share every layer say what one says, also after one of them is killed; two cannot, and why is said", async () => {
  using folder = freshFolder();
  const [ada, bob, cyd] = await members(folder.path, ["ada", "bob", "cyd"], []);
  if (!ada || !bob || !cyd) throw new Error("three machines");
  await using first = await started(ada);
  await using second = await started(bob);
  await using third = await started(cyd);
  await linked([first, second, third]);
  const ask = (home: string, ...words: readonly string[]) =>
    exo(["run", "smollm2", ...words, ...QUESTION], { home });
  const two = await ask(ada.folder, "--nodes", "ada,bob", "--strategy", "tensor");
  const three = await ask(bob.folder, "--nodes", "ada,bob,cyd", "--strategy", "tensor");
  const shown = await exo(["ps"], { home: ada.folder });
  await third.kill("SIGKILL");
  const without = await ask(bob.folder);
  await exo(["stop", "smollm2"], { home: ada.folder });
  const alone = await ask(ada.folder);
  expect({
    two: [two.code, two.err],
    three: [three.code, three.out === alone.out || three],
    shown: shown.out,
    without: [without.code, without.out === alone.out || without],
  }).toEqual({
    two: [5, expect.stringContaining("tensor over 2: 9 attention heads do not divide by 2")],
    three: [0, true],
    shown: expect.stringMatching(/\w+ 0–29 part 1\/3 \| \w+ 0–29 part 2\/3 \| \w+ 0–29 part 3\/3/),
    without: [0, true],
  });
});
