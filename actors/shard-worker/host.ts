/** The engine of a worker process: opens the library once, holds one model, and turns its crank between messages. */
import type { Clock } from "#actors/runtime/clock";
import { freeMemory } from "#actors/runtime/machine/memory";
import type { Dtype } from "#ffi/array";
import { weightsOf } from "#ffi/cursor";
import { openLibrary } from "#ffi/library";
import { createMlx, type NativeMlx } from "#ffi/native";
import type { TensorSource } from "#ffi/weights";
import { Problem } from "#protocol/problem";
import type { KvQuant, Shard, ShardFacts } from "#protocol/shard";
import type { Engine as EnginePort } from "./effects.ts";
import { Engine } from "./engine/engine.ts";
import { requireRoomForWeights } from "./engine/room.ts";
import { checkFit } from "./models/fit.ts";
import { buildModel } from "./models/registry.ts";
import { nativePasses } from "./sampling/native-passes.ts";
import { openText } from "./text/text-port.ts";
import { type Checkpoint, openCheckpoint } from "./weights/checkpoint.ts";

/** Loading is reported so often at most. */
const PROGRESS_EVERY_MS = 200;

/** `crash` hears of a failure that no single request can be blamed for. */
export function createHost(libraryFolder: string, clock: Clock, crash: (error: unknown) => void): EnginePort {
  let engine: Engine | undefined;
  /** Gives back the memory that work has left behind: the C library keeps what was freed, about 100 MB after a long prompt. */
  let rest = (): void => {};
  let turning = false;

  /** One unit of work, then the event loop's turn, so that a cancel is heard between two tokens. */
  function turn(): void {
    try {
      turning = engine?.step() ?? false;
      if (!turning) rest();
    } catch (error) {
      crash(error);
      return;
    }
    if (turning) setImmediate(turn);
  }

  return {
    async load(shard, progress) {
      const startedMs = clock.nowMs();
      const loaded = loadShard(shard, libraryFolder, clock, progress);
      engine = loaded.engine;
      rest = loaded.rest;
      return { ...loaded.facts, loadMs: clock.nowMs() - startedMs };
    },
    submit(generation, sink) {
      if (!engine) throw new Problem("unavailable", "this worker holds no model yet");
      engine.submit(generation, sink);
      if (turning) return;
      turning = true;
      setImmediate(turn);
    },
    cancel: (request) => engine?.cancel(request),
    release() {
      engine?.release();
      engine = undefined;
    },
  };
}

type Progress = (loadedBytes: number, totalBytes: number) => void;

/** Everything of one shard. Throws Problem; the process that failed to load is ended, and its memory with it. */
function loadShard(
  shard: Shard,
  libraryFolder: string,
  clock: Clock,
  progress: Progress,
): { engine: Engine; rest: () => void; facts: Omit<ShardFacts, "loadMs"> } {
  requireWhole(shard);
  const mlx = createMlx(openLibrary(libraryFolder));
  const checkpoint = openCheckpoint(shard.path, mlx);
  const { config, generation, facts, tokenizer } = checkpoint;
  requireRoomForWeights(shard.model, facts.weightBytes, freeMemory());
  const text = openText(tokenizer ? { gguf: tokenizer } : { folder: shard.path }, {
    endTokens: generation.eosTokens,
    nowMs: () => clock.epochSeconds() * 1000,
  });
  const source = reporting(checkpoint, clock, progress);
  const dtype = activations(mlx, tokenizer !== undefined);
  const model = buildModel(config, weightsOf(source, mlx, { dtype }), shard.layers);
  checkpoint.close();
  checkFit(model, mlx);
  const { eosTokens: _, ...defaults } = generation;
  const { contextLength } = shard;
  const limits = contextLength === undefined ? {} : { contextLength };
  const kvQuant = keptAs(mlx, shard);
  const passes = nativePasses(mlx.native);
  const given = { mlx, model, text, clock, defaults, limits, passes, freeBytes: () => freeMemory() };
  const engine = new Engine({ ...given, ...(kvQuant && { kvQuant }) });
  return {
    engine,
    rest: () => mlx.native.exo_trim_memory(),
    facts: {
      architecture: config.model_type,
      quantisation: facts.quantisation,
      layers: model.layers,
      contextLength: engine.contextLength,
      vocabularySize: model.vocabularySize,
      weightBytes: facts.weightBytes,
    },
  };
}

/** The ranks of a tensor-parallel model would have to add up what each computed, and nothing here does yet. */
function requireWhole({ model, rank = 0, world = 1 }: Shard): void {
  if (world === 1 && rank === 0) return;
  throw new Problem(
    "invalid",
    `${model} is asked for as rank ${rank} of ${world}, but this version cannot share the layers of a model between workers`,
    { param: "world", remedy: "load the whole model in one worker: leave rank and world out" },
  );
}

/**
 * The CPU computes in float32 whatever the weights are. A GPU has matrix units for 16 bits: float16 beside GGUF's float16
 * scales, so that nothing is widened, bfloat16 else.
 */
function activations({ device }: NativeMlx, isGguf: boolean): Dtype {
  if (device === "cpu") return "float32";
  return isGguf ? "float16" : "bfloat16";
}

/**
 * How keys and values are kept. Unless the user says, our own kernels keep them as float16: half the memory of what is computed
 * in, and half as much to read for each token. Elsewhere they are kept as they are computed.
 */
function keptAs({ kernels }: NativeMlx, { kvQuant }: Shard): KvQuant | undefined {
  if (kvQuant === "q8" && kernels !== "exo") {
    throw new Problem(
      "invalid",
      "keys and values in 8 bits (kv_quant q8) need exo's own kernels, which run on a CPU",
      {
        param: "runtime.kv_quant",
        remedy: "leave kv_quant out, or ask for f16",
      },
    );
  }
  return kvQuant ?? (kernels === "exo" ? "f16" : undefined);
}

/** The checkpoint's tensors, each one that is taken moving the progress. */
function reporting(checkpoint: Checkpoint, clock: Clock, progress: Progress): TensorSource {
  const { source, facts } = checkpoint;
  let toldMs = clock.nowMs();
  return {
    has: (name) => source.has(name),
    shapeOf: (name) => source.shapeOf(name),
    quantisation: (path) => source.quantisation(path),
    tensor(name, slice) {
      const nowMs = clock.nowMs();
      if (nowMs - toldMs >= PROGRESS_EVERY_MS) {
        toldMs = nowMs;
        progress(checkpoint.loadedBytes(), facts.weightBytes);
      }
      return source.tensor(name, slice);
    },
  };
}
