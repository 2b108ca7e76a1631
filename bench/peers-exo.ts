/**
 * exo as one side of bench/peers.ts: the engine as a worker process runs it, without HTTP and messages.
 * `bun bench/peers-exo.ts MODEL CONTEXT [CACHE]`; a line of JSON in is one run, a line out its answers with their times.
 */
import { systemClock } from "#actors/runtime/clock";
import { createHost } from "#actors/shard-worker/host";
import { builtFolder, builtLibrary } from "#ffi/built-library";
import type { Delta, Generation } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import type { KvQuant } from "#protocol/shard";
import type { Answer, Run } from "./peers-side.ts";

const [path = "", context = "4096", kvQuant = "f16"] = process.argv.slice(2);
const crash = (error: unknown) => {
  console.error(error);
  process.exit(1);
};
const host = createHost({ libraryFolder: builtFolder, clock: systemClock, crash });
await host.load(
  { model: "peer", path, contextLength: Number(context), kvQuant: kvQuant as KvQuant },
  { progress() {}, paced() {} },
  new AbortController().signal,
);
const say = (fields: object) => process.stdout.write(`${JSON.stringify(fields)}\n`);
say({ ready: true, version: JSON.stringify(builtLibrary().versions) });

let runs = 0;
for await (const line of console) {
  const { prompts, output }: Run = JSON.parse(line);
  const startMs = performance.now();
  say({ answers: await Promise.all(prompts.map((prompt) => answered(prompt, output, startMs))) });
}

/** A token that a delta brings together with others came when they did. */
function answered(prompt: readonly number[], output: number, startMs: number): Promise<Answer> {
  const ids: number[] = [];
  const ms: number[] = [];
  return new Promise((resolve, reject) => {
    const delta = (piece: Delta) => {
      if (piece.type === "text") {
        const nowMs = performance.now() - startMs;
        ids.push(...piece.tokens);
        ms.push(...piece.tokens.map(() => nowMs));
      }
      if (piece.type === "finish") resolve({ ids, ms });
    };
    const generation: Generation = {
      id: `peer-${runs++}` as RequestId,
      model: "peer",
      prompt: { type: "tokens", tokens: [...prompt] },
      sampling: { temperature: 0 },
      maxTokens: output,
      ignoreEos: true,
      stop: [],
    };
    host.submit(generation, { delta, failed: reject });
  });
}
