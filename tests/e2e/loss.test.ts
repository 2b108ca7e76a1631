/** Workers that die, servers that die, clients that leave: who is told, and what is left behind. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import OpenAI, { APIError } from "openai";
import { environmentOf, freshFolder } from "../cli/exo.ts";
import {
  binary,
  childrenOf,
  isAlive,
  type Server,
  serving,
  smollm2File,
  TEST_MS_MAX,
  until,
} from "./product.ts";

setDefaultTimeout(TEST_MS_MAX);

const stack = new AsyncDisposableStack();
let server: Server;
let client: OpenAI;

beforeAll(async () => {
  const home = stack.use(freshFolder());
  server = stack.use(await serving(home.path));
  client = clientOf(server);
});
afterAll(() => stack.disposeAsync());

const clientOf = ({ url }: Server): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0, timeout: TEST_MS_MAX });

const france = {
  model: "smollm2",
  messages: [{ role: "user" as const, content: "What is the capital of France?" }],
  temperature: 0,
};
/** An answer that does not end by itself while a test looks at it. */
const endless = { ...france, max_tokens: 4000, ignore_eos: true };

const answers = async (asked: OpenAI): Promise<string | null | undefined> =>
  (await asked.chat.completions.create(france)).choices[0]?.message.content;

const PARIS = "The capital of France is Paris.";

const requestsOf = async ({ held }: Server): Promise<number> =>
  (await held()).reduce((sum, { requests }) => sum + requests, 0);

/** The one worker, held and alive. */
async function worker({ pid }: Server): Promise<number> {
  const [only = 0, ...others] = childrenOf(pid);
  expect([only > 0, others]).toEqual([true, []]);
  return only;
}

/** Long enough to be cut in the middle, and always the same. */
const story = { ...france, seed: 7, max_tokens: 120, ignore_eos: true };

/** The story as it streams while so many workers are killed, each some pieces after it was first seen. */
async function told(kills: number) {
  const asked = { ...story, stream: true, stream_options: { include_usage: true } } as const;
  const killed: number[] = [];
  let victim: number | undefined = await worker(server);
  let [text, tokens, pieces] = ["", 0, 0];
  for await (const { choices, usage } of await client.chat.completions.create(asked)) {
    text += choices[0]?.delta.content ?? "";
    tokens = usage?.completion_tokens ?? tokens;
    if (killed.length === kills) continue;
    victim ??= childrenOf(server.pid).find((pid) => !killed.includes(pid));
    if (victim === undefined || ++pieces < 5) continue;
    process.kill(victim, "SIGKILL");
    killed.push(victim);
    [victim, pieces] = [undefined, 0];
  }
  return { text, tokens, killed: killed.length };
}

test("workers killed in the middle of an answer: the stream goes on, and says and counts what it would have", async () => {
  await answers(client);
  const whole = await told(0);
  expect(await told(2)).toEqual({ ...whole, tokens: story.max_tokens, killed: 2 });
});

test("a worker killed in the middle of a whole answer: it comes all the same", async () => {
  const content = async () => (await client.chat.completions.create(story)).choices[0]?.message.content;
  const whole = await content();
  const asked = content();
  await until("the request is in flight", async () => (await requestsOf(server)) === 1);
  const before = await worker(server);
  process.kill(before, "SIGKILL");
  expect([await asked, (await worker(server)) === before]).toEqual([whole, false]);
});

test("an answer whose model is stopped meanwhile ends with a clear error, and the model is not loaded again", async () => {
  await answers(client);
  const stream = await client.chat.completions.create({ ...endless, stream: true });
  let pieces = 0;
  const ended = await (async () => {
    for await (const _ of stream)
      if (++pieces === 3)
        await fetch(`${server.url}/exo/v1/stop`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ model: "smollm2", now: true }),
        });
  })().catch((error: unknown) => error);
  expect({
    ended: [ended instanceof APIError, (ended as APIError).code, String(ended)],
    held: await server.held(),
  }).toEqual({
    ended: [true, "unavailable", expect.stringContaining("the model was stopped")],
    held: [],
  });
});

test("a client that leaves ends its work, whether it streamed or waited", async () => {
  await answers(client);
  const stream = await client.chat.completions.create({ ...endless, stream: true });
  for await (const _ of stream) break;
  await until("the streamed request is over", async () => (await requestsOf(server)) === 0);
  const leaving = new AbortController();
  const asked = client.chat.completions.create(endless, { signal: leaving.signal }).catch(() => "left");
  await until("the request is in flight", async () => (await requestsOf(server)) === 1);
  leaving.abort();
  await until("the whole request is over", async () => (await requestsOf(server)) === 0);
  expect([await asked, await answers(client)]).toEqual(["left", PARIS]);
});

test("a client that left while it waited behind another is not answered either", async () => {
  await answers(client);
  const leaving = new AbortController();
  const asked = Array.from({ length: 6 }, () =>
    client.chat.completions.create(endless, { signal: leaving.signal }).catch(() => "left"),
  );
  await until("all are in flight", async () => (await requestsOf(server)) === 6);
  leaving.abort();
  await until("all are over", async () => (await requestsOf(server)) === 0);
  expect([await Promise.all(asked), await answers(client)]).toEqual([Array(6).fill("left"), PARIS]);
});

test("two names of one file share one worker", async () => {
  await answers(client);
  const named = await client.completions.create({ model: smollm2File(), prompt: "a", max_tokens: 1 });
  const held = await server.held();
  expect([named.model, held.length, childrenOf(server.pid).length]).toEqual([smollm2File(), 1, 1]);
});

test("a server that is killed leaves no worker behind", async () => {
  using home = freshFolder();
  await using doomed = await serving(home.path, ["--model", "smollm2"]);
  const orphan = await worker(doomed);
  const stream = await clientOf(doomed).chat.completions.create({ ...endless, stream: true });
  const ended = (async () => {
    let pieces = 0;
    for await (const _ of stream) if (++pieces === 3) doomed.kill("SIGKILL");
  })().catch(() => "cut");
  expect(await ended).toBe("cut");
  await until("the worker is gone", () => !isAlive(orphan));
});

test("a server that is asked to end lets its answers end first; asked twice it ends at once", async () => {
  const ending = async (max_tokens: number, signals: number) => {
    using home = freshFolder();
    await using leaving = await serving(home.path, ["--model", "smollm2"]);
    const child = await worker(leaving);
    const asked = { ...endless, max_tokens, stream: true } as const;
    const stream = await clientOf(leaving).chat.completions.create(asked);
    let pieces = 0;
    let finish: string | null | undefined;
    const reading = (async () => {
      for await (const { choices } of stream) {
        if (++pieces === 3) leaving.kill("SIGTERM");
        if (pieces === 6 && signals === 2) leaving.kill("SIGTERM");
        finish = choices[0]?.finish_reason;
      }
    })().catch(() => (finish = "cut"));
    await reading;
    const code = await leaving.exited;
    await until("the worker is gone", () => !isAlive(child));
    return [code, finish];
  };
  expect([await ending(20, 1), await ending(4000, 2)]).toEqual([
    [143, "length"],
    [143, "cut"],
  ]);
});

test.each(["SIGINT", "SIGKILL"] as const)(
  "an exo run that gets %s leaves no worker behind",
  async (signal) => {
    using home = freshFolder();
    const child = Bun.spawn([binary(), "run", "smollm2", "Tell me a long story.", "--max-tokens", "4000"], {
      env: environmentOf(home.path),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const { value } = await child.stdout.getReader().read();
    const [own = 0, ...others] = childrenOf(child.pid);
    expect([value === undefined, isAlive(own), others]).toEqual([false, true, []]);
    child.kill(signal);
    expect(await child.exited).toBe(signal === "SIGINT" ? 130 : 137);
    await until("the worker is gone", () => !isAlive(own));
  },
);
