/** As the specification of the format shows it, every key used. */
export const EVERYTHING = `version: 1
name: home cluster, october
target:
  url: http://localhost:52415/v1/
  api: chat
  key_env: EXO_API_KEY
models: [qwen3-30b, {id: qwen3-235b, quant: 4bit, ctx: 32768}]
placement:
  strategy: [auto, pipeline]
  backend: jaccl
  hidden: [full, 8bit]
  nodes: [[studio], [studio, mini]]
require: {nodes: ">=2", memory: ">=96GB", chip: "M3|M4", link: "thunderbolt"}
defaults: &usual
  stream: true
  temperature: 0
  ignore_eos: true
  prefix_cache: off
  warmup: {requests: 2}
  repeat: 5
  cooldown: 10s
  timeout: 10m
  seed: 1
scenarios:
  - name: chat
    prompt_tokens: [512, 4096]
    output_tokens: {dist: normal, mean: 800, std: 200, min: 50, max: 4000}
    load: {type: concurrent, streams: [1, 4, 16]}
  - name: knee
    prompt_tokens: 1024
    load: {type: sweep, steps: 10, per_step: 60s}
  - name: evening
    data: {trace: ./evening.jsonl}
    load: {type: rate, rate: 30/m, arrival: poisson, duration: 5m, max_concurrency: 32}
    slo: {ttft: 2s, tpot: 80ms, e2e: 60s}
  - {name: depth, context_fill: [0, 8192, 32768]}
  - {name: agent, data: {builtin: agent}, repeat: 2}
  - name: failover
    faults: [{at: 20s, kill: mini}]
    load: {type: concurrent, streams: 4, duration: 60s}
  - name: quality
    check: {perplexity: ./text.txt, tools: builtin}
collect: {energy: true, gpu: true, links: true, stages: true, interval: 500ms}
output: {dir: ./bench, formats: [table, json, csv, html]}
compare: {baseline: ./bench/last.json, fail_if: {decode_tps: "-5%", ttft_p90: "+10%", errors: ">0"}}
`;
