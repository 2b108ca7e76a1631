/** Loading a shard: its tensors and no others, on this process's device, and what is built over them. */
import type { Clock } from "#actors/runtime/clock";
import { freeMemory } from "#actors/runtime/machine/memory";
import type { Dtype } from "#ffi/array";
import { weightsOf } from "#ffi/cursor";
import { openLibrary } from "#ffi/library";
import { createMlx, type NativeMlx } from "#ffi/native";
import type { TensorSource } from "#ffi/weights";
import type { GroupWay } from "#protocol/collective";
import type { RequestId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { KvQuant, Shard, ShardFacts } from "#protocol/shard";
import type { Computer } from "./engine/computer.ts";
import { Engine } from "./engine/engine.ts";
import { contextLengthOf } from "./engine/limits.ts";
import { Paces } from "./engine/paces.ts";
import { requireRoomForWeights } from "./engine/room.ts";
import type { StagePorts } from "./engine/stage.ts";
import { checkFit } from "./models/fit.ts";
import { buildModel } from "./models/registry.ts";
import { alikeIn } from "./models/rows-alike.ts";
import { windowsOf } from "./models/windows.ts";
import { PATIENCE_MS } from "./ranks/exchange.ts";
import { Mesh } from "./ranks/mesh.ts";
import { RankCollective } from "./ranks/rank-collective.ts";
import { nativePasses } from "./sampling/native-passes.ts";
import { openText } from "./text/text-port.ts";
import { type Checkpoint, openCheckpoint } from "./weights/checkpoint.ts";

/** Loading is reported so often at most. */
const PROGRESS_EVERY_MS = 200;

/** `alone`: as EnginePorts has it. */
type MakesEngine = (computer?: Computer, alone?: readonly RequestId[]) => Engine;

export interface Loaded {
  readonly layers: StagePorts;
  /** The token loop, by the layers here or by a computer; only where the last of them is, for nobody else needs words. */
  readonly engine: MakesEngine | undefined;
  /** This rank among those who have parts of the same layers; undefined where the layers are whole. */
  readonly ranks: RankCollective | undefined;
  /** What adds up for it where MLX does. */
  readonly meshOf: (way: GroupWay) => Mesh;
  /** Blocks until a descriptor can be read, or written to if that is wanted: for who waits for other ranks. */
  readonly waitFor: (fd: number, write: boolean, ms: number) => boolean;
  /** The least tokens that a layer of the whole model attends to; undefined where all of them see everything. */
  readonly window: number | undefined;
  /** Gives back the memory that work has left behind: the C library keeps what was freed, about 100 MB after a long prompt. */
  readonly rest: () => void;
  readonly facts: Omit<ShardFacts, "loadMs">;
}

type Progress = (loadedBytes: number, totalBytes: number) => void;

/** Everything of one shard. Throws Problem; the process that failed to load is ended, and its memory with it. */
export function loadShard(shard: Shard, libraryFolder: string, clock: Clock, progress: Progress): Loaded {
  const { rank = 0, world = 1 } = shard;
  const mlx = createMlx(openLibrary(libraryFolder));
  const checkpoint = openCheckpoint(shard.path, mlx);
  const { config, facts, tokenizer } = checkpoint;
  const weightBytes = weightBytesOf(shard, checkpoint);
  requireRoomForWeights(shard.model, weightBytes, freeMemory());
  const source = reporting(checkpoint, clock, (loadedBytes) => progress(loadedBytes, weightBytes));
  const dtype = activations(mlx, tokenizer !== undefined);
  const collective = world > 1 ? new RankCollective(mlx, dtype, { rank, world }) : undefined;
  const weights = weightsOf(source, mlx, { dtype, rank, world, ...(collective && { collective }) });
  const model = buildModel(config, weights, shard.layers);
  checkpoint.close();
  checkFit(model, mlx);
  const kvQuant = keptAs(mlx, shard);
  const layers = {
    mlx,
    model,
    freeBytes: () => freeMemory(),
    ...(kvQuant && { kvQuant }),
    // A rank's time is others' too, and of a part of each layer.
    ...(collective ? { ranks: collective } : { paces: new Paces(() => clock.nowMs()) }),
  };
  return {
    layers,
    ranks: collective,
    meshOf: (way) => new Mesh({ mlx, way, rank: { rank, world }, patienceMs: PATIENCE_MS }),
    waitFor: (fd, write, ms) => mlx.native.exo_wait_for(fd, write, ms) > 0,
    engine: model.range.end === model.layers ? tokenLoop(shard, checkpoint, layers, clock) : undefined,
    window: leastOf(windowsOf(config)),
    rest: () => mlx.native.exo_trim_memory(),
    facts: {
      architecture: config.model_type,
      quantisation: facts.quantisation,
      layers: model.layers,
      contextLength: contextLengthOf(model, shard),
      vocabularySize: model.vocabularySize,
      weightBytes,
    },
  };
}

/** Opens the text port. */
function tokenLoop(
  shard: Shard,
  { config, generation, tokenizer }: Checkpoint,
  layers: StagePorts & { readonly mlx: NativeMlx },
  clock: Clock,
): MakesEngine {
  const { eosTokens: endTokens, ...defaults } = generation;
  const text = openText(tokenizer ? { gguf: tokenizer } : { folder: shard.path }, {
    endTokens,
    nowMs: () => clock.epochSeconds() * 1000,
  });
  const { contextLength } = shard;
  const alike = alikeIn(config, layers.mlx.kernels);
  const limits = {
    replayRows: alike.rows,
    chunksAlike: alike.chunks,
    ...(contextLength !== undefined && { contextLength }),
  };
  const given = { ...layers, text, clock, defaults, limits, passes: nativePasses(layers.mlx.native) };
  return (computer, alone) => new Engine({ ...given, computer, alone });
}

function leastOf(windows: readonly (number | undefined)[]): number | undefined {
  const sliding = windows.filter((window) => window !== undefined);
  return sliding.length === 0 ? undefined : Math.min(...sliding);
}

/** What is held of the file: of a rank, its part of what ranks cut and the whole of what they do not. */
function weightBytesOf(
  { layers, world = 1 }: Shard,
  { config, facts, weightBytesOf: of }: Checkpoint,
): number {
  if (!layers && world === 1) return facts.weightBytes;
  return of(layers ?? { start: 0, end: Number(config.num_hidden_layers) }, world);
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
function reporting(
  checkpoint: Checkpoint,
  clock: Clock,
  progress: (loadedBytes: number) => void,
): TensorSource {
  const { source } = checkpoint;
  let toldMs = clock.nowMs();
  return {
    has: (name) => source.has(name),
    shapeOf: (name) => source.shapeOf(name),
    quantisation: (path) => source.quantisation(path),
    tensor(name, slice) {
      const nowMs = clock.nowMs();
      if (nowMs - toldMs >= PROGRESS_EVERY_MS) {
        toldMs = nowMs;
        progress(checkpoint.loadedBytes());
      }
      return source.tensor(name, slice);
    },
  };
}
