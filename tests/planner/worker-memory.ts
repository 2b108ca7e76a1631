/**
 * What one worker takes: `bun tests/planner/worker-memory.ts MODEL CONTEXT [KVQUANT]` loads it alone in this process, computes a
 * prompt that fills the context, and prints its greatest resident memory in bytes (Linux).
 */
import { readFileSync } from "node:fs";
import { createHost } from "#actors/shard-worker/host";
import { builtFolder } from "#ffi/built-library";
import type { Generation } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { KvQuant } from "#protocol/shard";

const [path = "", context = "2048", kept] = process.argv.slice(2);
const kvQuant = KvQuant.anyOf.map((each) => each.const).find((each) => each === kept);
/** Left of the context for the answer. */
const ANSWER = 4;

const kilobytes = (name: string): number =>
  Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0);

const clock = {
  nowMs: () => performance.now(),
  epochSeconds: () => 0,
  after: () => () => {},
  freshId: () => "id",
};
const crash = (error: unknown) => {
  throw error;
};
const host = createHost({ libraryFolder: builtFolder, clock, crash });
const contextLength = Number(context);
const shard = { model: "measured", path, contextLength, ...(kvQuant && { kvQuant }) };
const { weightBytes } = await host.load(shard, { progress() {}, paced() {} }, new AbortController().signal);
const loaded = kilobytes("VmHWM");
const tokens = Array.from({ length: contextLength - ANSWER }, (_, i) => 1000 + (i % 500));
const generation: Generation = {
  id: "r" as RequestId,
  model: "measured",
  prompt: { type: "tokens", tokens },
  sampling: { temperature: 0 },
  stop: [],
  maxTokens: ANSWER,
};
await new Promise<void>((resolve, reject) =>
  host.submit(generation, {
    delta: (delta) => delta.type === "finish" && resolve(),
    failed: reject,
  }),
);
process.stdout.write(
  `${JSON.stringify({ weightBytes, loadedBytes: loaded * 1024, peakBytes: kilobytes("VmHWM") * 1024 })}\n`,
);
process.exit(0);
