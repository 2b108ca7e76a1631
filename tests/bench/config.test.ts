import { expect, test } from "bun:test";
import { readConfig } from "#actors/supervisor/bench/read-config";
import { Problem } from "#protocol/problem";
import { EVERYTHING } from "./every-key.ts";

test("every key of the format is read, with its unit and its default", () => {
  const { scenarios, ...config } = readConfig(EVERYTHING, "config.yaml");
  const habits = {
    stream: true,
    temperature: 0,
    ignoreEos: true,
    prefixCache: "off",
    warmup: 2,
    timeoutMs: 600_000,
  };
  const usual = { ...habits, repeat: 5, cooldownMs: 10_000, seed: 1, contextFill: [0] };
  const long = { dist: "normal", mean: 800, std: 200, min: 50, max: 4000 };
  expect(config).toEqual({
    name: "home cluster, october",
    target: { url: "http://localhost:52415/v1", api: "chat", keyEnv: "EXO_API_KEY" },
    models: [{ id: "qwen3-30b" }, { id: "qwen3-235b", quant: "4bit", ctx: 32768 }],
    placement: {
      strategy: ["auto", "pipeline"],
      backend: ["jaccl"],
      hidden: ["full", "8bit"],
      nodes: [["studio"], ["studio", "mini"]],
    },
    require: {
      nodes: { sign: ">=", amount: 2, text: ">=2" },
      memory: { sign: ">=", amount: 96e9, text: ">=96GB" },
      chip: { source: "M3|M4" },
      link: { source: "thunderbolt" },
    },
    collect: { energy: true, gpu: true, links: true, stages: true, interval: 500 },
    output: { dir: "./bench", formats: ["table", "json", "csv", "html"] },
    compare: {
      baseline: "./bench/last.json",
      failIf: [
        { metric: "decode_tps", sign: "-", amount: 5, text: "-5%" },
        { metric: "ttft_p90", sign: "+", amount: 10, text: "+10%" },
        { metric: "errors", sign: ">", amount: 0, text: ">0" },
      ],
    },
  });
  const single = { type: "single" } as const;
  const evening = {
    type: "rate",
    rate: [0.5],
    arrival: "poisson",
    burstiness: 1,
    maxConcurrency: 32,
    durationMs: 300_000,
  };
  expect(scenarios as unknown).toEqual([
    {
      ...usual,
      name: "chat",
      promptTokens: [512, 4096],
      outputTokens: [long],
      load: { type: "concurrent", streams: [1, 4, 16] },
    },
    {
      ...usual,
      repeat: 1,
      name: "knee",
      promptTokens: [1024],
      outputTokens: [128],
      load: { type: "sweep", steps: 10, perStepMs: 60_000, maxConcurrency: 64 },
    },
    {
      ...usual,
      name: "evening",
      promptTokens: [1],
      outputTokens: [128],
      load: evening,
      data: { type: "trace", path: "./evening.jsonl" },
      slo: { ttft: 2000, tpot: 80, e2e: 60_000 },
    },
    {
      ...usual,
      name: "depth",
      promptTokens: [512],
      outputTokens: [128],
      contextFill: [0, 8192, 32768],
      load: single,
    },
    {
      ...usual,
      repeat: 2,
      name: "agent",
      promptTokens: [512],
      outputTokens: [128],
      load: single,
      data: { type: "turns", turns: 12, growth: 400, system: 2000 },
    },
    {
      ...usual,
      name: "failover",
      promptTokens: [512],
      outputTokens: [128],
      load: { type: "concurrent", streams: [4], durationMs: 60_000 },
      faults: [{ at: "20000 ms", kill: "mini" }],
    },
    {
      ...usual,
      name: "quality",
      promptTokens: [512],
      outputTokens: [128],
      load: single,
      check: { perplexity: "./text.txt", tools: "builtin" },
    },
  ]);
});

function faultsOf(yaml: string): string {
  try {
    readConfig(yaml, "c.yaml");
    return "taken";
  } catch (error) {
    if (error instanceof Problem) return error.message;
    throw error;
  }
}

test("every fault is named by line and column, with the nearest known word", () => {
  const yaml = `version: 2
modles: [a]
models: [a]
defaults:
  repeet: 3
  prefix_cache: cold
  timeout: soon
scenarios:
  - name: one
    prompt_tokens: [512, lots]
    load: {type: concurent}
  - name: two
    load: {type: rate, rate: 0/s}
    slo: {ttfs: 2s}
  - name: three
    load: {type: single, streams: 4}
compare: {fail_if: {decode_tsp: "-5%", errors: "-5"}}
`;
  expect(faultsOf(yaml)).toMatchInlineSnapshot(`
    "c.yaml:1:10: version must be 1, the only version there is, not 2
    c.yaml:2:1: modles is not known; did you mean models?
    c.yaml:5:3: defaults.repeet is not known; did you mean repeat?
    c.yaml:6:17: defaults.prefix_cache is "cold"; it must be one of off, warm, natural
    c.yaml:7:12: defaults.timeout must be a duration such as 80ms, 2s, 5m or 1h, not "soon"
    c.yaml:10:26: scenarios[0].prompt_tokens[1] must be a whole number from 1 to 10000000, not "lots"
    c.yaml:11:18: scenarios[0].load.type is "concurent"; it must be one of single, concurrent, rate, throughput, sweep, replay, ramp; did you mean concurrent?
    c.yaml:13:30: scenarios[1].load.rate must be a rate such as 0.5/s or 30/m, above 0, not "0/s"
    c.yaml:14:11: scenarios[1].slo.ttfs is not known; did you mean ttft?
    c.yaml:16:26: scenarios[2].load.streams is not known; known are type, requests, duration
    and 2 more"
  `);
});

test("the limit of ten faults says how many more there are", () => {
  const wrong = Array.from({ length: 12 }, (_, i) => `key${i}: 1`).join("\n");
  const message = faultsOf(`models: [a]\nscenarios: [{name: x}]\n${wrong}\n`);
  expect([message.split("\n").length, message.split("\n").at(-1)]).toEqual([11, "and 2 more"]);
});

test("numbers that no benchmark can have are refused, and words that every object knows are no keys", () => {
  const one = (scenario: string) => faultsOf(`models: [a]\nscenarios:\n  - {name: x, ${scenario}}\n`);
  expect(
    [
      faultsOf("models: [a]\n__proto__: 1\nconstructor: 2\nscenarios: [{name: x, toString: 3}]\n"),
      faultsOf(
        'models: [a]\nscenarios: [{name: x}]\ncompare: {fail_if: {constructor: ">0", errors: {a: 1}}}\n',
      ),
      one("temperature: .nan, prompt_tokens: .inf"),
      one("timeout: 0s, cooldown: 0s"),
      one("timeout: 1000h"),
      one("load: {type: single, duration: 0s}"),
      one("load: {type: sweep, per_step: 0}"),
      one("load: {type: rate, rate: 1000000/s}"),
      one("load: {type: rate, rate: 1000/s, duration: 10h}"),
      one("load: {type: ramp, from: 1/s, to: 1000/s, duration: 10h}"),
      one("prompt_tokens: {dist: lognormal, mean: 0}"),
    ].join("\n"),
  ).toMatchInlineSnapshot(`
    "c.yaml:2:1: __proto__ is not known; known are version, name, target, models, placement, require, defaults, scenarios, collect, output, compare
    c.yaml:3:1: constructor is not known; known are version, name, target, models, placement, require, defaults, scenarios, collect, output, compare
    c.yaml:4:23: scenarios[0].toString is not known; known are name, prompt_tokens, output_tokens, context_fill, load, data, slo, faults, check, stream, temperature, ignore_eos, prefix_cache, warmup, repeat, cooldown, timeout, seed
    c.yaml:3:34: compare.fail_if.constructor is no metric; there are decode_tps, prefill_tps, total_tps, requests_per_s, goodput, ttft_p50, ttft_p90, ttft_p99, itl_p50, itl_p90, itl_p99, tpot_p50, tpot_p90, tpot_p99, e2e_p50, e2e_p90, e2e_p99, errors, joules_per_token, perplexity, answers, tools
    c.yaml:3:48: compare.fail_if.errors is a map; write "-5%" or "+10%" for a change, ">0" or "<10" for a value
    c.yaml:3:28: scenarios[0].temperature must be a number from 0 to 2, not NaN
    c.yaml:3:49: scenarios[0].prompt_tokens must be a whole number from 1 to 10000000, not Infinity
    c.yaml:3:24: scenarios[0].timeout must be longer than nothing, not "0s"
    c.yaml:3:24: scenarios[0].timeout is "1000h", longer than a week
    c.yaml:3:46: scenarios[0].load.duration must be longer than nothing, not "0s"
    c.yaml:3:45: scenarios[0].load.per_step must be longer than nothing, not 0
    c.yaml:3:40: scenarios[0].load.rate is "1000000/s"; one client sends 10000/s at most
    c.yaml:3:5: scenarios[0] asks for 36000000 requests a run; at most 1000000 are kept
    c.yaml:3:5: scenarios[0] asks for 18018000 requests a run; at most 1000000 are kept
    c.yaml:3:54: scenarios[0].prompt_tokens.mean must be a number from 1 to 10000000, not 0"
  `);
});

test("contradictions and gaps are said where they stand", () => {
  const one = (scenario: string) => faultsOf(`models: [a]\nscenarios:\n  - ${scenario}\n`);
  expect(
    [
      faultsOf(""),
      faultsOf("models: [a]\n"),
      faultsOf("models: [a]\nscenarios: []\n"),
      faultsOf("models: [a\n"),
      faultsOf("models: [a]\n---\nscenarios: [{name: x}]\n"),
      faultsOf("models: &m [*m]\nscenarios: &s [*s]\n"),
      faultsOf('models: [a]\nrequire: {chip: "(", memory: lots, nodez: 3}\nscenarios: [{name: x}]\n'),
      faultsOf("models: [a]\ntarget: {url: 'http://x/v1', api: engine}\nscenarios: [{name: x}]\n"),
      one("{name: x, check: {perplexty: t.txt}}"),
      faultsOf("scenarios: [{name: x}]\n"),
      faultsOf("models: [a]\nscenarios: [{name: x}, {name: x}]\n"),
      faultsOf("models: [a]\nmodels: [b]\nscenarios: [{name: x}]\n"),
      one("{prompt_tokens: 5}"),
      one("{name: x, load: {streams: 2}}"),
      one("{name: x, load: {type: replay}}"),
      one("{name: x, load: {type: ramp, from: 1/s}}"),
      one("{name: x, load: {type: rate, rate: 1, burstiness: 2}}"),
      one("{name: x, context_fill: 5, data: {turns: 2}}"),
      one("{name: x, context_fill: [0, 5], load: {type: rate, rate: 1}}"),
      one("{name: x, context_fill: 0, load: {type: rate, rate: 1}}"),
      one("{name: x, data: {turns: 2, builtin: agent}}"),
      one("{name: x, prompt_tokens: {dist: uniform, min: 5}}"),
      one("{name: x, prompt_tokens: {dist: normal, mean: 5, min: 9, max: 4}}"),
      one("{name: x, faults: [{kill: mini}]}"),
    ].join("\n"),
  ).toMatchInlineSnapshot(`
    "c.yaml:1:1: the file must be a map of keys
    c.yaml:1:1: the file has no scenarios: write at least one, such as - {name: chat, prompt_tokens: 512, output_tokens: 128}
    c.yaml:2:12: scenarios must not be empty
    c.yaml:2:1: Flow sequence in block collection must be sufficiently indented and end with a ]
    c.yaml:2:1: a second document begins here; one file is one benchmark
    c.yaml:1:12: models[0] must be text, not a list
    c.yaml:2:15: scenarios[0] must be a map of keys
    c.yaml:2:17: require.chip is no regular expression: Invalid regular expression: missing )
    c.yaml:2:30: require.memory must be a bound such as ">=96GB", not "lots"
    c.yaml:2:36: require.nodez is not known; did you mean nodes?
    c.yaml:2:9: target has both a url and api: engine, which is this exo without HTTP
    c.yaml:3:23: scenarios[0].check.perplexty is not known; did you mean perplexity?
    c.yaml:1:1: the file names no models: write models: [smollm2]
    c.yaml:2:12: scenarios has two of the name x
    c.yaml:2:1: Map keys must be unique
    c.yaml:3:5: scenarios[0] needs a name
    c.yaml:3:21: scenarios[0].load needs a type: one of single, concurrent, rate, throughput, sweep, replay, ramp
    c.yaml:3:5: scenarios[0] replays and needs data: {trace: FILE}
    c.yaml:3:21: scenarios[0].load needs from and to, such as 0.5/s
    c.yaml:3:21: scenarios[0].load has burstiness, which only arrival: gamma knows
    c.yaml:3:5: scenarios[0] has both context_fill and data; choose one
    c.yaml:3:5: scenarios[0] has context_fill, for which requests of a rate load would come too late; use single or concurrent
    taken
    c.yaml:3:21: scenarios[0].data must name exactly one of trace, sharegpt, messages, prefix_repetition, turns, builtin
    c.yaml:3:30: scenarios[0].prompt_tokens is uniform and needs max
    c.yaml:3:30: scenarios[0].prompt_tokens has min 9 above max 4
    c.yaml:3:24: scenarios[0].faults[0] needs at and exactly one of kill, stop, partition, slow"
  `);
});
