/** One model whose layers machines of a home share, as processes on this machine: what its user sees. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { expectIn, homeOf, type Member } from "./home-of.ts";

setDefaultTimeout(180_000);

const QUESTION = ["--seed", "7", "--temp", "1", "--max-tokens", "24", "Tell me of the sea."];

test("three machines that share every layer say what one says, also after one of them is killed; two cannot, and why is said", async () => {
  await using home = await homeOf("ada", "bob", "cyd");
  const [ada, bob, cyd] = home.all;
  const ask = (at: Member, ...words: readonly string[]) => at.exo("run", "smollm2", ...words, ...QUESTION);
  const two = await ask(ada, "--nodes", "ada,bob", "--strategy", "tensor");
  const three = await ask(bob, "--nodes", "ada,bob,cyd", "--strategy", "tensor");
  const shown = await ada.exo("ps");
  await cyd.kill("SIGKILL");
  const without = await ask(bob);
  await ada.exo("stop", "smollm2");
  const alone = await ask(ada);
  expectIn(
    home.all,
    {
      two: [two.code, two.err],
      three: [three.code, three.out === alone.out || [three, alone]],
      shown: shown.out,
      without: [without.code, without.out === alone.out || [without, alone]],
    },
    {
      two: [5, expect.stringContaining("tensor over 2: 9 attention heads do not divide by 2")],
      three: [0, true],
      shown: expect.stringMatching(/\w+ 0–29 part 1\/3 \| \w+ 0–29 part 2\/3 \| \w+ 0–29 part 3\/3 by ring/),
      without: [0, true],
    },
  );
});
