import { expect, test } from "bun:test";
import { smollm2File } from "../e2e/product.ts";
import { environmentOf, freshFolder, fromSource } from "./exo.ts";

test("a terminated server gives the answers under way to their end, and takes no more", async () => {
  using home = freshFolder();
  const model = smollm2File();
  const child = Bun.spawn([...fromSource, "serve", "--port", "0", "--json", "--model", model], {
    env: environmentOf(home.path),
    cwd: home.path,
    stdout: "pipe",
    stderr: "ignore",
  });
  try {
    const { value: line } = await child.stdout.getReader().read();
    const { url }: { url: string } = JSON.parse(new TextDecoder().decode(line));
    const ask = () =>
      fetch(`${url}/v1/completions`, {
        method: "POST",
        body: JSON.stringify({ model, prompt: "One, two,", stream: true, ignore_eos: true, max_tokens: 24 }),
      });
    const answer = await ask(); // its status comes with the first delta, so the worker has begun
    child.kill("SIGTERM");
    const records = (await answer.text()).split("\n\n").filter((record) => record.startsWith("data: {"));
    const last = JSON.parse(records.at(-1)?.slice("data: ".length) ?? "");
    const refused = await ask().then(
      () => "taken",
      () => "refused",
    );
    expect({ reason: last.choices?.[0]?.finish_reason, refused, code: await child.exited }).toEqual({
      reason: "length",
      refused: "refused",
      code: 143,
    });
  } finally {
    child.kill("SIGKILL");
  }
}, 60_000);
