// llama.cpp as one side of bench/peers.ts, through node-llama-cpp. Run by Node with the folder that holds its packages:
//   node bench/peers/llama.mjs NODE_MODULES MODEL.gguf THREADS CONTEXT
// A line of JSON in is one run: {"prompt": [ids], "output": n}; a line out is its times in ms. Greedy, on the CPU.
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [packages, modelPath, threads, contextSize] = process.argv.slice(2);
const require = createRequire(join(packages, "x.js"));
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(require.resolve("node-llama-cpp")).href);

const llama = await getLlama({ gpu: false, build: "never", maxThreads: 0, logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
const context = await model.createContext({
  contextSize: Number(contextSize),
  batchSize: 512,
  threads: Number(threads),
});
const sequence = context.getSequence();
const say = (fields) => process.stdout.write(`${JSON.stringify(fields)}\n`);
say({ ready: true, version: llama.llamaCppRelease?.release ?? "unknown" });

for await (const line of createInterface({ input: process.stdin })) {
  const { prompt, output } = JSON.parse(line);
  await sequence.clearHistory();
  const startMs = performance.now();
  let firstMs = startMs;
  const ids = [];
  // Generation goes on past the end of text, so that every side computes as many tokens.
  for await (const id of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    ids.push(id);
    if (ids.length === 1) firstMs = performance.now();
    if (ids.length === output) break;
  }
  say({ prefillMs: firstMs - startMs, decodeMs: performance.now() - firstMs, ids });
}
