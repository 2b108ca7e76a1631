/** The command line beside a running server: what `exo run`, `ps`, `ls`, `show` and `stop` say of one real model. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { environmentOf, freshFolder } from "../cli/exo.ts";
import { binary, childrenOf, run, type Server, serving, smollm2File, TEST_MS_MAX, until } from "./product.ts";

setDefaultTimeout(TEST_MS_MAX);

const stack = new AsyncDisposableStack();
let server: Server;
let home: string;

beforeAll(async () => {
  home = stack.use(freshFolder()).path;
  server = stack.use(await serving(home));
});
afterAll(() => stack.disposeAsync());

const QUESTION = "What is the capital of France?";
const PARIS = "The capital of France is Paris.";

/** One answer of this home's server. */
const exoRun = (...args: readonly string[]) => run(["run", "smollm2", ...args], { home });

test("run is answered by the server that runs, and starts no worker of its own", async () => {
  const child = Bun.spawn([binary(), "run", "smollm2", QUESTION, "--temp", "0"], {
    env: environmentOf(home),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const started = new Set<number>();
  let over = false;
  const watching = until("the answer", () => {
    for (const pid of childrenOf(child.pid)) started.add(pid);
    return over;
  });
  const out = await new Response(child.stdout).text();
  over = true;
  await watching;
  expect([await child.exited, out, [...started], childrenOf(server.pid).length]).toEqual([
    0,
    `${PARIS}\n`,
    [],
    1,
  ]);
});

test("--json prints one object with text and figures", async () => {
  const { code, out, err } = await exoRun(QUESTION, "--temp", "0", "--json");
  const { firstMs, totalMs, decodeMs, ...answer } = JSON.parse(out);
  expect({ code, err, answer, times: [firstMs <= totalMs, decodeMs <= totalMs] }).toEqual({
    code: 0,
    err: "",
    answer: {
      schema: "exo.run/1",
      model: "smollm2",
      text: PARIS,
      promptTokens: 37,
      cachedTokens: expect.any(Number),
      completionTokens: 8,
      finishReason: "stop",
    },
    times: [true, true],
  });
});

test("--raw goes on with the text as it is; --max-tokens and --stop end it", async () => {
  const raw = await exoRun("The capital of France is", "--raw", "--temp", "0", "--max-tokens", "2");
  const stopped = await exoRun(QUESTION, "--temp", "0", "--stop", " France");
  const short = await exoRun(QUESTION, "--temp", "0", "--max-tokens", "3");
  expect([raw, stopped, short]).toEqual([
    { code: 0, out: " Paris.\n", err: "" },
    { code: 0, out: "The capital of\n", err: "" },
    { code: 0, out: "The capital of\n", err: "" },
  ]);
});

test("stdin is the question, or follows it", async () => {
  const alone = await run(["run", "smollm2", "--temp", "0"], { home, stdin: `${QUESTION}\n` });
  const after = await run(["run", "--model", "smollm2", "--temp", "0", "--max-tokens", "16", "Repeat:"], {
    home,
    stdin: "hello\n",
  });
  expect([alone, after]).toEqual([
    { code: 0, out: `${PARIS}\n`, err: "" },
    { code: 0, out: expect.stringContaining("ello"), err: "" },
  ]);
});

test("the same seed gives the same answer; --stats goes to stderr", async () => {
  const ask = (...more: readonly string[]) =>
    exoRun("Tell me a story.", "--temp", "1", "--seed", "5", "--max-tokens", "12", ...more);
  const [first, second] = [await ask(), await ask("--stats")];
  expect([first.err, second.out, second.err]).toEqual([
    "",
    first.out,
    expect.stringMatching(/^prompt \d+ tok .*to first token · 12 tok at [\d.]+ tok\/s/),
  ]);
});

test("ps, ls and show agree on the model, as JSON and in words", async () => {
  await exoRun("hi", "--max-tokens", "1");
  const json = async (...args: readonly string[]) =>
    JSON.parse((await run([...args, "--json"], { home })).out);
  const [ps, ls, show] = [await json("ps"), await json("ls"), await json("show", "smollm2")];
  const words = await run(["show", "smollm2"], { home });
  const path = smollm2File();
  expect({ ps, ls, show, words: words.out }).toMatchObject({
    ps: {
      schema: "exo.ps/1",
      url: server.url,
      models: [
        {
          model: "smollm2",
          path,
          state: "ready",
          pid: childrenOf(server.pid)[0],
          facts: { architecture: "llama", layers: 30, contextLength: 8192, vocabularySize: 49_152 },
        },
      ],
    },
    ls: { schema: "exo.ls/1", models: [{ name: "smollm2", path, format: "gguf", quantisation: "Q4_1" }] },
    show: {
      schema: "exo.show/1",
      model: "smollm2",
      path,
      architecture: "llama",
      layers: 30,
      contextLength: 8192,
      loaded: true,
    },
    words: expect.stringMatching(/quantisation +Q4_1 as 4-bit affine \(exact\)/),
  });
});

test("/v1/models says which model is loaded and how long its context is", async () => {
  await exoRun("hi", "--max-tokens", "1");
  const { data } = JSON.parse(await (await fetch(`${server.url}/v1/models`)).text());
  expect(data).toMatchObject([{ id: "smollm2", context_length: 8192, exo: { state: "loaded" } }]);
});

test("a model given by path is listed, and answers by its short name, as long as it is held", async () => {
  const path = join(home, "mine.gguf");
  await copyFile(smollm2File(), path);
  const ids = async () => {
    const { data }: { data: readonly { id: string }[] } = JSON.parse(
      await (await fetch(`${server.url}/v1/models`)).text(),
    );
    return data.map(({ id }) => id);
  };
  const answer = await run(["run", path, QUESTION, "--temp", "0"], { home });
  const held = await ids();
  const short = await run(["run", "mine", QUESTION, "--temp", "0"], { home });
  const stopped = await run(["stop", path], { home });
  expect([answer.out, held, short, stopped.code, await ids()]).toEqual([
    `${PARIS}\n`,
    ["smollm2", "mine"],
    { code: 0, out: `${PARIS}\n`, err: "" },
    0,
    ["smollm2"],
  ]);
});

test("a path is relative to where the command is given, not to where the server runs", async () => {
  await using folder = await elsewhere();
  const here = { home, folder: folder.path };
  const ran = await run(["run", "./own.gguf", QUESTION, "--temp", "0"], here);
  const stopped = await run(["stop", "./own.gguf"], here);
  expect([ran.out, stopped]).toEqual([
    `${PARIS}\n`,
    { code: 0, out: "", err: expect.stringMatching(/^stopped /) },
  ]);
});

/** A folder that is not the server's, with a model of its own. */
async function elsewhere() {
  const folder = freshFolder();
  await copyFile(smollm2File(), join(folder.path, "own.gguf"));
  return { path: folder.path, [Symbol.asyncDispose]: async () => folder[Symbol.dispose]() };
}

test("--ctx is the server's to say, and run says so", async () => {
  const { code, out, err } = await exoRun(QUESTION, "--temp", "0", "--ctx", "64");
  expect([code, out, err]).toEqual([0, `${PARIS}\n`, expect.stringContaining("--ctx is that of exo serve")]);
});

test("stop lets the answers under way end; with --now they end at once, and their clients are told", async () => {
  const ask = async (max_tokens: number): Promise<string> => {
    const body = { model: "smollm2", messages: [{ role: "user", content: "Count." }], ignore_eos: true };
    const answer = await fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ ...body, max_tokens, stream: true }),
    });
    return await answer.text();
  };
  const stopWhileAnswering = async (max_tokens: number, ...flags: readonly string[]) => {
    await exoRun("hi", "--max-tokens", "1");
    const asked = ask(max_tokens);
    await until("the request is in flight", async () =>
      (await server.held()).some(({ requests }) => requests > 0),
    );
    const { code } = await run(["stop", "smollm2", ...flags], { home });
    return [code, (await asked).slice(-250)] as const;
  };
  const drained = await stopWhileAnswering(30);
  const cut = await stopWhileAnswering(4000, "--now");
  expect([drained, cut, childrenOf(server.pid)]).toEqual([
    [0, expect.stringMatching(/"finish_reason":"length".*data: \[DONE\]\s*$/s)],
    [0, expect.stringMatching(/"error":\{"message":"the model was stopped.*data: \[DONE\]\s*$/s)],
    [],
  ]);
});

test("stop takes the model out of memory, a second stop finds none, the next question loads it again", async () => {
  await exoRun("hi", "--max-tokens", "1");
  const first = await run(["stop", "smollm2", "--json"], { home });
  const left = [await server.held(), childrenOf(server.pid)];
  const second = await run(["stop", "smollm2"], { home });
  const again = await exoRun(QUESTION, "--temp", "0");
  const all = await run(["stop", "--all"], { home });
  expect([
    [first.code, JSON.parse(first.out)],
    left,
    second,
    again.out,
    all.code,
    await server.held(),
  ]).toEqual([
    [0, { schema: "exo.stop/1", model: "smollm2", state: "stopped" }],
    [[], []],
    { code: 4, out: "", err: expect.stringMatching(/^✗ smollm2 is not loaded.*`exo ps` lists what is/s) },
    `${PARIS}\n`,
    0,
    [],
  ]);
});
