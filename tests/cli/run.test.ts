import { expect, test } from "bun:test";
import { environmentOf, exo, freshFolder, fromSource } from "./exo.ts";
import { fakeDaemon, loadedModel } from "./fake-daemon.ts";

test("run answers once on stdout alone, by the exo that already holds the model", async () => {
  using home = freshFolder();
  await using daemon = fakeDaemon({ models: [loadedModel("smollm2")] });
  const ran = await exo(["run", "smollm2", "What is the capital of France?"], {
    home: home.path,
    env: { EXO_HOST: daemon.url },
  });
  expect({ ran, asked: daemon.asked }).toEqual({
    ran: { code: 0, out: "The capital of France is Paris.\n", err: "" },
    asked: [
      { path: "/exo/v1/ps", body: undefined },
      {
        path: "/v1/chat/completions",
        body: {
          model: "smollm2",
          messages: [{ role: "user", content: "What is the capital of France?" }],
          fallback_temperature: 0,
          stream: true,
          stream_options: { include_usage: true },
        },
      },
    ],
  });
});

test("flags reach the model in the API's spelling, stdin follows the prompt, a new model is loaded first", async () => {
  using home = freshFolder();
  await using daemon = fakeDaemon();
  const flags =
    "--temp 0.5 --top-p 0.9 --top-k 40 --min-p 0.1 --seed -7 --max-tokens 64 --stop END --stop ###".split(
      " ",
    );
  const ran = await exo(
    ["run", "--model", "m", "summarise", ...flags, "--system", "Be brief.", "--stats", "--host", daemon.url],
    {
      home: home.path,
      stdin: "a long text\n",
    },
  );
  expect({
    code: ran.code,
    err: ran.err.replaceAll(/\d+\.\d+ s/g, "S"),
    asked: daemon.asked.slice(1),
  }).toEqual({
    code: 0,
    err: "prompt 41 tok (2 cached) · S to first token · 8 tok at 20.0 tok/s · S\n",
    asked: [
      { path: "/exo/v1/load", body: { model: "m" } },
      {
        path: "/v1/chat/completions",
        body: {
          model: "m",
          messages: [
            { role: "system", content: "Be brief." },
            { role: "user", content: "summarise\n\na long text" },
          ],
          temperature: 0.5,
          top_p: 0.9,
          top_k: 40,
          min_p: 0.1,
          seed: -7,
          max_tokens: 64,
          stop: ["END", "###"],
          fallback_temperature: 0,
          stream: true,
          stream_options: { include_usage: true },
        },
      },
    ],
  });
});

test("--raw continues text without a template, --json gives one object", async () => {
  using home = freshFolder();
  await using daemon = fakeDaemon({ models: [loadedModel("m")] });
  const ran = await exo(["run", "m", "Once upon", "--raw", "--json", "--host", daemon.url], {
    home: home.path,
  });
  const { firstMs, totalMs, ...answer } = JSON.parse(ran.out);
  expect({ answer, times: firstMs <= totalMs, asked: daemon.asked[1] }).toEqual({
    answer: {
      schema: "exo.run/1",
      model: "m",
      text: "The capital of France is Paris.",
      promptTokens: 41,
      cachedTokens: 2,
      completionTokens: 8,
      decodeMs: 400,
      finishReason: "stop",
    },
    times: true,
    asked: {
      path: "/v1/completions",
      body: {
        model: "m",
        prompt: "Once upon",
        fallback_temperature: 0,
        stream: true,
        stream_options: { include_usage: true },
      },
    },
  });
});

const failures = [
  [400, "context_length_exceeded", 5],
  [400, "invalid_value", 1],
  [401, "invalid_api_key", 7],
  [404, "model_not_found", 4],
  [429, "rate_limit_exceeded", 8],
  [503, "unavailable", 8],
  [503, "no_capacity", 5],
  [503, "network", 6],
  [500, "internal_error", 1],
] as const;

test.each(failures)("a refusal %i %s of the daemon ends with exit code %i", async (status, code, exit) => {
  using home = freshFolder();
  await using daemon = fakeDaemon({
    models: [loadedModel("m")],
    failure: { status, error: { message: "so it is", code } },
  });
  const ran = await exo(["run", "m", "hi", "--host", daemon.url], { home: home.path });
  expect({ code: ran.code, out: ran.out, what: ran.err.split("\n")[0] }).toEqual({
    code: exit,
    out: "",
    what: "✗ so it is",
  });
});

test("Ctrl-C ends a one-shot with 130 and leaves what came; --timeout ends it with 124", async () => {
  using home = freshFolder();
  await using daemon = fakeDaemon({ models: [loadedModel("m")], pieces: ["so far", "hang"] });
  const env = environmentOf(home.path, { EXO_HOST: daemon.url });
  const child = Bun.spawn([...fromSource, "run", "m", "hi"], {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const { value } = await child.stdout.getReader().read();
  child.kill("SIGINT");
  const code = await child.exited;
  const late = await exo(["run", "m", "hi", "--timeout", "300ms"], {
    home: home.path,
    env: { EXO_HOST: daemon.url },
  });
  expect([code, new TextDecoder().decode(value), late]).toEqual([
    130,
    "so far",
    { code: 124, out: "so far", err: "" },
  ]);
});
