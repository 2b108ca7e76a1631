import { expect, test } from "bun:test";
import { Problem } from "#protocol/problem";
import type { Generate } from "./ports.ts";
import { app } from "./serve.ts";
import { post, refusal, told } from "./test/ask.ts";
import { deltasOf, fakePorts } from "./test/fake-ports.ts";

const path = "/v1/chat/completions";
const hello = { model: "smollm2", messages: [{ role: "user", content: "Hi" }] };

const handled = ({ generate }: { generate: Generate }) =>
  app(fakePorts([], { generate }), { host: "127.0.0.1" });

test("when one choice fails the others are aborted", async () => {
  const aborted: boolean[] = [];
  const failing = handled({
    async *generate(generation, signal) {
      yield* deltasOf(["Hi"], generation).slice(0, 1);
      if (generation.id.endsWith("-1")) throw new Problem("unavailable", "the worker was lost");
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      aborted.push(signal.aborted);
    },
  });
  const response = await post(failing, path, { ...hello, n: 3 });
  expect([await refusal(response), aborted]).toEqual([
    "503 server_error unavailable null: the worker was lost",
    [true, true],
  ]);
});

test("many choices run a few at a time and all are answered", async () => {
  let running = 0;
  let most = 0;
  const gateway = handled({
    async *generate(generation) {
      most = Math.max(most, ++running);
      try {
        yield* deltasOf(["Hi"], generation);
      } finally {
        running -= 1;
      }
    },
  });
  const { choices } = await told(await post(gateway, path, { ...hello, n: 50 }));
  expect([choices.length, running, most <= 9]).toEqual([50, 0, true]);
});
