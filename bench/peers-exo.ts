/**
 * exo as one side of bench/peers.ts: the engine as a worker process runs it, without HTTP and messages.
 * `bun bench/peers-exo.ts MODEL CONTEXT`; a line of JSON in is one run, a line out its times in ms.
 */
import { systemClock } from "#actors/runtime/clock";
import { createHost } from "#actors/shard-worker/host";
import { builtFolder, builtLibrary } from "#ffi/built-library";
import type { Delta, Generation } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";

interface Run {
  readonly prompt: number[];
  readonly output: number;
}

const [path = "", context = "4096"] = process.argv.slice(2);
const crash = (error: unknown) => {
  console.error(error);
  process.exit(1);
};
const host = createHost(builtFolder, systemClock, crash);
await host.load(
  { model: "peer", path, contextLength: Number(context) },
  () => {},
  new AbortController().signal,
);
const say = (fields: object) => process.stdout.write(`${JSON.stringify(fields)}\n`);
say({ ready: true, version: JSON.stringify(builtLibrary().versions) });

let runs = 0;
for await (const line of console) say(await answered(JSON.parse(line)));

function answered({ prompt, output }: Run): Promise<object> {
  const startMs = performance.now();
  let firstMs: number | undefined;
  const ids: number[] = [];
  return new Promise((resolve, reject) => {
    const delta = (piece: Delta) => {
      if (piece.type === "text") {
        ids.push(...piece.tokens);
        firstMs ??= performance.now();
      }
      if (piece.type !== "finish") return;
      const first = firstMs ?? startMs;
      resolve({ prefillMs: first - startMs, decodeMs: performance.now() - first, ids });
    };
    const generation: Generation = {
      id: `peer-${runs++}` as RequestId,
      model: "peer",
      prompt: { type: "tokens", tokens: prompt },
      sampling: { temperature: 0 },
      maxTokens: output,
      ignoreEos: true,
      stop: [],
    };
    host.submit(generation, { delta, failed: reject });
  });
}
