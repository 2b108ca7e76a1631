import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { exo, freshFolder, started } from "../cli/exo.ts";
import { until } from "../e2e/product.ts";
import { httpTarget } from "./http-target.ts";

setDefaultTimeout(60_000);

const CONFIG = (url: string, more = "") => `models: [m]
target: {url: ${url}}
defaults: {repeat: 2, warmup: 1}
scenarios: [{name: chat, prompt_tokens: 20, output_tokens: 5, load: {type: single, requests: 3}}]
${more}`;

test("a config is measured, written and compared with what came before", async () => {
  using home = freshFolder();
  await using target = httpTarget();
  const path = join(home.path, "c.yaml");
  await Bun.write(path, CONFIG(target.url, "output: {dir: out, formats: [table, json, csv, html]}"));
  const first = await exo(["bench", "c.yaml"], { home: home.path });
  expect([first.code, first.err.replaceAll(home.path, "").match(/wrote .*?(\w+)$/gm)?.length]).toEqual([
    0, 3,
  ]);
  expect(first.out.split("\n").filter((line) => /^SCENARIO|^chat/.test(line)).length).toBe(2);
  const second = await exo(["bench", "c.yaml", "--compare", "last", "--formats", "table"], {
    home: home.path,
  });
  expect([
    second.code,
    second.out.includes("VS BASELINE"),
    second.out.includes("compared with bench of"),
  ]).toEqual([0, true, true]);
});

test("what was measured before is listed, and shared without addresses", async () => {
  using home = freshFolder();
  await using target = httpTarget();
  await exo(["bench", "m", "--url", target.url, "-p", "20", "-n", "5", "-r", "1"], { home: home.path });
  const history = await exo(["bench", "history"], { home: home.path });
  const shared = await exo(["bench", "share", "bench/last.json"], { home: home.path });
  const copy = await Bun.file(join(home.path, "bench", "last-shared.json")).text();
  expect([history.code, history.out.includes("bench · m · 20×5 · 1 stream"), shared.code]).toEqual([
    0,
    true,
    0,
  ]);
  expect([copy.includes('"exo.bench/1"'), copy.includes(target.url)]).toEqual([true, false]);
});

test("a broken limit ends with 9 and says which", async () => {
  using home = freshFolder();
  await using target = httpTarget();
  const path = join(home.path, "c.yaml");
  await Bun.write(path, CONFIG(target.url));
  await exo(["bench", "c.yaml"], { home: home.path });
  await Bun.write(
    path,
    CONFIG(target.url, "compare: {baseline: last, fail_if: {requests_per_s: '<1000000'}}"),
  );
  const { code, err } = await exo(["bench", "c.yaml", "--json"], { home: home.path }).then((ran) => ({
    ...ran,
    err: ran.out,
  }));
  expect([code, /requests_per_s \S+ on chat · m · 20×5 · 1 stream \(limit <1000000\)/.test(err)]).toEqual([
    9,
    true,
  ]);
});

test("a dry run prints the grid and asks nobody", async () => {
  using home = freshFolder();
  const { code, out } = await exo(
    ["bench", "smollm2", "-p", "512,4096", "-c", "1,4", "-n", "128", "--dry-run"],
    { home: home.path },
  );
  expect(code).toBe(0);
  expect(out).toMatchInlineSnapshot(`
    "SCENARIO  MODEL    PROMPT×OUT  LOAD       RUNS  REQUESTS  ABOUT
    bench     smollm2  512×128     1 stream   5 ×   1         27 s
    bench     smollm2  512×128     4 streams  5 ×   8         2 min 41 s
    bench     smollm2  4096×128    1 stream   5 ×   1         1 min 30 s
    bench     smollm2  4096×128    4 streams  5 ×   8         8 min 58 s
    4 cells, about 13 min 35 s at an assumed 400 tok/s prefill and 50 tok/s decode
    "
  `);
});

test("Ctrl-C writes a report marked as partial, and --resume completes it", async () => {
  using home = freshFolder();
  await using slow = httpTarget({ hangsFrom: 5 });
  const path = join(home.path, "c.yaml");
  await Bun.write(path, CONFIG(slow.url, "name: half"));
  const child = started(["bench", "c.yaml"], { home: home.path });
  await until("the sixth request", () => slow.streamed() >= 6);
  child.kill("SIGINT");
  const [out, code] = [await new Response(child.stdout).text(), await child.exited];
  const files = () =>
    readdirSync(join(home.path, "bench"))
      .map((name) => name.replace(/\d{8}T\d{6}/, "TIME"))
      .toSorted();
  expect([code, out.startsWith("PARTIAL"), files()]).toEqual([
    130,
    true,
    ["half-TIME-partial.json", "half.journal.jsonl"],
  ]);
  slow.heal();
  const resumed = await exo(["bench", "c.yaml", "--resume", "--json"], { home: home.path });
  const { state, cells } = JSON.parse(resumed.out);
  expect([resumed.code, state, cells[0].runs.length, cells[0].summary.requests]).toEqual([
    0,
    "complete",
    2,
    6,
  ]);
  expect([resumed.err.includes("going on: 1 run is measured already"), files()]).toEqual([
    true,
    ["half-TIME-partial.json", "half-TIME.json", "last.json"],
  ]);
});

test("what is wrong is said before anything is measured", async () => {
  using home = freshFolder();
  await Bun.write(join(home.path, "bad.yaml"), "models: [m]\nscenarios:\n  - {nam: x}\n");
  await Bun.write(
    join(home.path, "key.yaml"),
    CONFIG("http://127.0.0.1:1/v1").replace("}", ", key_env: NO_SUCH_KEY}"),
  );
  await Bun.write(join(home.path, "gone.yaml"), CONFIG("http://127.0.0.1:1/v1"));
  const words = async (...args: string[]) => {
    const { code, err } = await exo(["bench", ...args], { home: home.path });
    return `${code} ${err.replaceAll(home.path, "").trim()}`;
  };
  expect(
    [
      await words(),
      await words("none.yaml"),
      await words("bad.yaml"),
      await words("key.yaml"),
      await words("gone.yaml"),
      await words("m", "--compare", "last"),
      await words("m", "-p", "many"),
      await words("compare", "a.json"),
    ].join("\n"),
  ).toMatchInlineSnapshot(`
    "2 ✗ nothing to measure was named
    → exo bench smollm2, or exo bench config.yaml
    4 ✗ none.yaml does not exist
    → name a config.yaml that does, or a model
    2 ✗ bad.yaml:3:5: scenarios[0] needs a name
    bad.yaml:3:6: scenarios[0].nam is not known; did you mean name?
    → correct these lines
    7 ✗ the config takes the key from NO_SUCH_KEY, which is not set
    → set NO_SUCH_KEY, or leave out key_env
    6 ✗ http://127.0.0.1:1/v1 does not answer: ECONNREFUSED: Unable to connect. Is the computer able to access the url?
    → see that the server runs and that the URL is the one of its API
    4 ✗ there is no report /bench/last.json
    → a complete run writes one; see --out
    2 ✗ option '-p, --prompt-tokens <list>' argument 'many' is invalid. It must be a whole number from 1 to 10000000.
    → exo help lists the commands, exo help COMMAND its flags
    2 ✗ comparing needs two reports or more
    → exo bench compare bench/last.json bench/other.json"
  `);
});
