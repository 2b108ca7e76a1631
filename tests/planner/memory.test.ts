/** The estimate against what a worker really takes: SmolLM2, whose caches and tokenizer weigh as much as its weights. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_WISH } from "#actors/planner/home";
import { shardBytes } from "#actors/planner/memory-estimate";
import { readModelShape } from "#actors/shard-worker/weights/checkpoint";

setDefaultTimeout(60_000);

/** Of what is really taken, either way. */
const ERROR_MAX = 0.1;

const folder = join(import.meta.dir, "..", "..", ".cache", "models", "smollm2");
const model = join(folder, readdirSync(folder).find((file) => file.endsWith(".gguf")) ?? "");

test.skipIf(process.platform !== "linux").each([512, 2048])(
  `a worker with a context of %i tokens takes what was estimated, within ${ERROR_MAX * 100} %`,
  (context) => {
    const script = join(import.meta.dir, "worker-memory.ts");
    const { stdout } = Bun.spawnSync([process.execPath, script, model, String(context)]);
    const { peakBytes }: { peakBytes: number } = JSON.parse(stdout.toString());
    const shape = readModelShape(model);
    const wish = { ...DEFAULT_WISH, context };
    const size = { start: 0, end: shape.layers.length, activationBytes: 4 };
    const { weights, kv, work } = shardBytes(shape, wish, size);
    const error = (weights + kv + work) / peakBytes - 1;
    expect(Math.abs(error) < ERROR_MAX ? "close" : `off by ${error}`).toBe("close");
  },
);
