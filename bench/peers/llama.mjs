// llama.cpp as one side of bench/peers.ts, through node-llama-cpp. Run by Node with the folder that holds its packages:
//   node bench/peers/llama.mjs NODE_MODULES MODEL.gguf THREADS CONTEXT STREAMS
// A line of JSON in is one run: {"prompts": [[ids]], "output": n, "reuse": false}; a line out its answers, each token with
// its time in ms. Streams are sequences of one context, computed together. Greedy, on the CPU.
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [packages, modelPath, threads, contextSize, streams] = process.argv.slice(2);
const require = createRequire(join(packages, "x.js"));
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(require.resolve("node-llama-cpp")).href);

const llama = await getLlama({ gpu: false, build: "never", maxThreads: 0, logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
const context = await model.createContext({
  contextSize: Number(contextSize),
  batchSize: 512,
  sequences: Number(streams),
  threads: Number(threads),
});
const sequences = Array.from({ length: Number(streams) }, () => context.getSequence());
const say = (fields) => process.stdout.write(`${JSON.stringify(fields)}\n`);
say({ ready: true, version: llama.llamaCppRelease?.release ?? "unknown" });

for await (const line of createInterface({ input: process.stdin })) {
  const { prompts, output, reuse = false } = JSON.parse(line);
  for (const [i, prompt] of prompts.entries()) await prepare(sequences[i], prompt, reuse);
  const startMs = performance.now();
  say({
    answers: await Promise.all(prompts.map((prompt, i) => answered(sequences[i], prompt, output, startMs))),
  });
}

/** Without `reuse` nothing is left of earlier runs, else what begins as this prompt does. */
async function prepare(sequence, prompt, reuse) {
  if (reuse) await sequence.adaptStateToTokens(prompt.slice(0, -1), false);
  else await sequence.clearHistory();
}

async function answered(sequence, prompt, output, startMs) {
  const [ids, ms] = [[], []];
  // Generation goes on past the end of text, so that every side computes as many tokens.
  const rest = prompt.slice(sequence.nextTokenIndex);
  for await (const id of sequence.evaluate(rest, { temperature: 0, yieldEogToken: true })) {
    ids.push(id);
    ms.push(performance.now() - startMs);
    if (ids.length === output) break;
  }
  return { ids, ms };
}
