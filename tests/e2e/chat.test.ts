/** A newcomer's chat in a terminal, with the real model. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { freshFolder } from "../cli/exo.ts";
import { typist } from "../cli/pty.ts";
import { binary, TEST_MS_MAX } from "./product.ts";

setDefaultTimeout(TEST_MS_MAX);

const CTRL_C = "\x03";
const CTRL_D = "\x04";

test("the chat knows what was said, Ctrl-C stops an answer and not the chat, Ctrl-D leaves", async () => {
  using home = freshFolder();
  await using user = typist(["run", "smollm2", "--temp", "0"], { home: home.path, command: [binary()] });
  await user.sees(">>> ");
  user.type("What is the capital of France?\r");
  await user.sees("The capital of France is Paris.");
  await user.sees(">>> ");
  user.type("And of Italy?\r");
  await user.sees("Rome");
  await user.sees(">>> ");
  user.type("Write a very long story.\r");
  await user.sees(" the ");
  user.type(CTRL_C);
  await user.sees("(stopped)");
  await user.sees(">>> ");
  user.type(CTRL_D);
  expect(await user.exited).toBe(0);
});

test("Ctrl-C in the same breath as Enter stops the answer that it asked for", async () => {
  using home = freshFolder();
  await using user = typist(["run", "smollm2", "--temp", "0"], { home: home.path, command: [binary()] });
  await user.sees(">>> ");
  user.type(`Write a very long story.\r${CTRL_C}`);
  await user.sees("(stopped)");
  await user.sees(">>> ");
});
