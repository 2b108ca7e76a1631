import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { exo, freshFolder } from "../cli/exo.ts";
import { httpTarget } from "./http-target.ts";

setDefaultTimeout(60_000);

const COMMON = ["-p", "20", "-n", "5", "--warmup", "0"];
/** A server that gives every request the same answer. */
function constantServer(answer: () => Response | Promise<Response>) {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: answer });
  return {
    url: `http://127.0.0.1:${server.port}/v1`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** Exit code and what was said, without what changes from run to run. */
async function said(args: readonly string[], home: string, url = ""): Promise<string> {
  const { code, err } = await exo(["bench", ...args], { home });
  return `${code} ${err
    .replaceAll(url || "\0", "URL")
    .replaceAll(home, "")
    .trim()}`;
}

test("a server that answers nonsense, a page or an error is told by what it said, without its control characters", async () => {
  using home = freshFolder();
  await using page = constantServer(() => new Response("<html>\x1b[31mhello</html>"));
  await using broken = constantServer(() => new Response("out \x1b[31mof order", { status: 500 }));
  await using odd = constantServer(() => new Response("{}\x9b2J", { status: 401 }));
  const words = async ({ url }: { url: string }) =>
    await said(["m", "--url", url, ...COMMON], home.path, url);
  expect([await words(page), await words(broken), await words(odd)].join("\n")).toMatchInlineSnapshot(`
    "8 ✗ URL/chat/completions refuses a first request: it answers what is no JSON: <html>�[31mhello</html>
    → see target.url, target.api, the model's name and the key (key_env)
    8 ✗ URL/chat/completions refuses a first request: HTTP 500: out �[31mof order
    → see target.url, target.api, the model's name and the key (key_env)
    7 ✗ URL/chat/completions refuses a first request: HTTP 401: {}�2J
    → see target.url, target.api, the model's name and the key (key_env)"
  `);
});

test("a server that never answers is given up after the config's timeout", async () => {
  using home = freshFolder();
  await using silent = constantServer(() => new Promise<Response>(() => {}));
  await Bun.write(
    join(home.path, "c.yaml"),
    `models: [m]\ntarget: {url: ${silent.url}}\ndefaults: {timeout: 300ms}\nscenarios: [{name: s}]\n`,
  );
  expect(await said(["c.yaml"], home.path, silent.url)).toMatchInlineSnapshot(`
    "6 ✗ URL/completions gave no answer within 0.3 s
    → see that the server is well; timeout: in the config gives it longer"
  `);
});

test("counts that cannot be are taken as not said", async () => {
  using home = freshFolder();
  const counts = async (tokens: string) => {
    const event = `{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":${tokens},"completion_tokens":${tokens}}}`;
    await using target = constantServer(() => new Response(`data: ${event}\n\ndata: [DONE]\n\n`));
    await using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async (request) =>
        ((await request.json()) as { stream?: boolean }).stream ? fetch(target.url) : new Response("{}"),
    });
    const url = `http://127.0.0.1:${server.port}/v1/`;
    const args = ["bench", "m", "--url", url, "--api", "chat", ...COMMON, "-r", "1", "--json"];
    const { code, out } = await exo(args, { home: home.path });
    const [cell] = JSON.parse(out).cells;
    return [code, cell.summary.prefillTps, cell.summary.outputTokens];
  };
  expect([await counts("-3"), await counts("1e300")]).toEqual([
    [0, undefined, 1],
    [0, undefined, 1],
  ]);
});

test("streams of garbage are counted as failures, and a cell without any answer ends with 1", async () => {
  using home = freshFolder();
  const garbage = async (stream: string) => {
    await using target = constantServer(() => new Response("{}"));
    await using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        const { stream: isStream } = (await request.json()) as { stream?: boolean };
        return isStream ? new Response(stream) : fetch(target.url);
      },
    });
    const url = `http://127.0.0.1:${server.port}/v1`;
    const { code, out, err } = await exo(["bench", "m", "--url", url, ...COMMON, "-r", "1", "--json"], {
      home: home.path,
    });
    await server.stop(true);
    const [report = ""] = out.split("\n");
    const [cell] = JSON.parse(report).cells;
    return [
      code,
      cell.summary.requests,
      cell.summary.errors,
      cell.runs[0].samples[0].error,
      err.includes("wrote"),
    ];
  };
  expect([
    await garbage("<html>"),
    await garbage("data: <nonsense\n\n"),
    await garbage('data: {"choices": 3, "usage": "many"}\n\ndata: [DONE]\n\n'),
    await garbage('data: {"choices":[{"delta":{"content":"x"}}]}\n\n'),
    await garbage('data: {"error":{"message":"out of memory"}}\n\n'),
  ]).toEqual([
    [1, 1, 1, "the answer is no stream of events", true],
    [1, 1, 1, "the answer holds what is no JSON: <nonsense", true],
    [1, 1, 1, "the answer holds no token", true],
    [1, 1, 1, "the answer ended in the middle", true],
    [1, 1, 1, "out of memory", true],
  ]);
});

test("a server that dies in the middle ends the run with a partial report, and --resume goes on", async () => {
  using home = freshFolder();
  const target = httpTarget({ onStreamed: (nth) => nth === 3 && void target[Symbol.asyncDispose]() });
  const port = Number(new URL(target.url).port);
  const args = ["bench", "m", "--url", target.url, ...COMMON, "-r", "9", "--json"];
  const dying = await exo(args, { home: home.path });
  const { state, cells, warnings } = JSON.parse(dying.out.split("\n")[0] ?? "");
  expect([
    dying.code,
    state,
    cells[0].summary.errors > 0,
    warnings.some((text: string) => text.includes("the target is gone")),
  ]).toEqual([6, "partial", true, true]);
  await using again = httpTarget({ port });
  const resumed = await exo([...args, "--resume"], { home: home.path });
  const report = JSON.parse(resumed.out);
  expect([resumed.code, report.state, report.cells[0].runs.length, again.url]).toEqual([
    0,
    "complete",
    9,
    target.url,
  ]);
});

test("what cannot be written is said before anything is measured", async () => {
  using home = freshFolder();
  await using target = httpTarget();
  await Bun.write(join(home.path, "file"), "");
  const words = await said(["m", "--url", target.url, ...COMMON, "--out", "file/deep"], home.path);
  expect([words.split("\n")[0], target.streamed()]).toEqual([
    expect.stringContaining("1 ✗ /file/deep cannot be written"),
    0,
  ]);
});

test("a config that compares with its last run makes the first one, and bounds hold at once", async () => {
  using home = freshFolder();
  await using target = httpTarget();
  const write = (limit: string) =>
    Bun.write(
      join(home.path, "c.yaml"),
      `models: [m]
target: {url: ${target.url}}
defaults: {repeat: 2, warmup: 0}
scenarios: [{name: s, prompt_tokens: 20, output_tokens: 5}]
compare: {baseline: ./bench/last.json, fail_if: {${limit}}}
`,
    );
  await write('requests_per_s: "<1000000"');
  const bound = await exo(["bench", "c.yaml"], { home: home.path });
  expect([bound.code, bound.out.includes("there is no report to compare with yet")]).toEqual([9, true]);
  await write('errors: ">0"');
  const second = await exo(["bench", "c.yaml"], { home: home.path });
  expect([second.code, second.out.includes("compared with bench of")]).toEqual([0, true]);
});

test("flags and files that cannot be are refused by name", async () => {
  using home = freshFolder();
  await Bun.write(join(home.path, "c.yaml"), "models: [m]\nscenarios: [{name: s}]\n");
  mkdirSync(join(home.path, "folder.yaml"));
  const data = "models: [m]\nscenarios: [{name: s, data: {messages: folder.yaml}}]\n";
  await Bun.write(join(home.path, "data.yaml"), data);
  expect(
    [
      await said(["c.yaml", "-p", "512"], home.path),
      await said(["m", "--formats", "json,htm"], home.path),
      await said(["m", "--api", "grpc"], home.path),
      await said(["schema", "reports"], home.path),
      await said(["m", "--api", "engine", "--url", "http://127.0.0.1:1"], home.path),
      await said([""], home.path),
      await said(["m", "--url", "localhost:80"], home.path),
      await said(["m", "-c", "2000"], home.path),
      await said(["m", "-r", "1000000"], home.path),
      await said(["m", "--duration", "0s"], home.path),
      await said(["m", "--rate", "1000", "--duration", "1h"], home.path),
      await said(["m", "--rate", "1", "-d", "64"], home.path),
      await said(["folder.yaml"], home.path),
      await said(["data.yaml"], home.path),
    ].join("\n"),
  ).toMatchInlineSnapshot(`
    "2 ✗ -p is for exo bench MODEL, not for a file
    → write prompt_tokens in c.yaml
    2 ✗ option '--formats <list>' argument 'json,htm' is invalid. It must be one of table, json, json.zst, jsonl, csv, markdown, html.
    → exo help lists the commands, exo help COMMAND its flags
    2 ✗ option '--api <api>' argument 'grpc' is invalid. It must be one of chat, completions, responses, messages, ollama, engine.
    → exo help lists the commands, exo help COMMAND its flags
    2 ✗ there is no schema reports
    → exo bench schema config, or exo bench schema report
    2 ✗ engine is this exo without HTTP, and a url was named
    → leave out one of the two
    2 ✗ nothing to measure was named
    → exo bench smollm2, or exo bench config.yaml
    2 ✗ --url localhost:80 is no URL of a server
    → write it as http://localhost:52415/v1
    2 ✗ option '-c, --concurrency <list>' argument '2000' is invalid. It must be a whole number from 1 to 1024.
    → exo help lists the commands, exo help COMMAND its flags
    2 ✗ option '-r, --repeat <n>' argument '1000000' is invalid. It must be a whole number from 1 to 1000.
    → exo help lists the commands, exo help COMMAND its flags
    2 ✗ option '--duration <duration>' argument '0s' is invalid. It must be longer than nothing, and a week at the most.
    → exo help lists the commands, exo help COMMAND its flags
    2 ✗ --rate and --duration ask for 3600000 requests a run; at most 1000000 are kept
    → lower one of the two
    2 ✗ -d fills a context before each prompt, so that requests could not come at a --rate
    → leave out one of the two
    1 ✗ folder.yaml cannot be read: EISDIR: illegal operation on a directory, read
    → name a config.yaml that can
    1 ✗ /folder.yaml, which the config names, cannot be read: EISDIR: illegal operation on a directory, read
    → correct the path in the config"
  `);
});

test("--ci prints annotations: faults at their lines, broken limits, warnings and the figures", async () => {
  using home = freshFolder();
  await using target = httpTarget();
  await Bun.write(join(home.path, "bad.yaml"), "models: [m]\nscenarios:\n  - {name: s, load: {type: rat}}\n");
  const bad = await exo(["bench", "bad.yaml", "--ci"], { home: home.path });
  expect([bad.code, bad.out]).toEqual([
    2,
    '::error file=bad.yaml,line=3,col=28,title=exo bench::scenarios[0].load.type is "rat"; it must be one of single, concurrent, rate, throughput, sweep, replay, ramp; did you mean rate?\n',
  ]);
  await Bun.write(
    join(home.path, "c.yaml"),
    `name: "100% of it"
models: [m]
target: {url: ${target.url}}
defaults: {repeat: 1, warmup: 0}
scenarios: [{name: s, prompt_tokens: 20, output_tokens: 5}]
compare: {fail_if: {requests_per_s: "<1000000"}}
`,
  );
  const summary = join(home.path, "summary.md");
  const { code, out } = await exo(["bench", "c.yaml", "--ci"], {
    home: home.path,
    env: { GITHUB_STEP_SUMMARY: summary },
  });
  const lines = out.split("\n").filter((line) => line.startsWith("::"));
  expect([
    code,
    lines.filter((line) => line.startsWith("::error")).map((line) => line.replace(/s [\d.]+ on/, "s N on")),
    lines.at(-1)?.startsWith("::notice title=exo bench::100%25 of it ·"),
    lines.at(-1)?.includes("%0As · m · 20×5 · 1 stream: prefill"),
    (await Bun.file(summary).text()).startsWith("### 100% of it"),
  ]).toEqual([
    9,
    ["::error title=exo bench%3A limit broken::requests_per_s N on s · m · 20×5 · 1 stream (limit <1000000)"],
    true,
    true,
    true,
  ]);
});
