/** A model's weights and config, from a Hugging Face folder or a GGUF file, behind one face. */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { NativeMlx } from "#ffi/native";
import type { TensorSource } from "#ffi/weights";
import type { ModelShape } from "#protocol/model-shape";
import { Problem } from "#protocol/problem";
import type { LayerRange } from "#protocol/shard";
import type { GgufTokenizerData } from "../text/gguf-tokenizer-data.ts";
import type { DescribedTensor } from "./checkpoint-digest.ts";
import { type CheckpointFacts, folderFacts, ggufFacts, sizedFolder, sizedGguf } from "./checkpoint-facts.ts";
import { FolderSource } from "./checkpoint-folder.ts";
import { GgufSource } from "./checkpoint-gguf.ts";
import { CheckpointReader } from "./checkpoint-reader.ts";
import { type GenerationDefaults, type ModelConfig, readFolderConfig } from "./config.ts";
import { quantisationRules } from "./config-quantisation.ts";
import { ggufConfig, ggufGeneration } from "./gguf-config.ts";
import { nameGgufTensors } from "./gguf-names.ts";
import { readGgufParts } from "./gguf-parts.ts";
import { checkUsable, ropeFactors } from "./gguf-tensors.ts";
import { ggufTokenizer } from "./gguf-tokenizer.ts";
import { modelShape, type SizedTensor, weightBytesOf } from "./model-shape.ts";
import { nameTensors } from "./names.ts";
import { readSafetensorsFolder } from "./safetensors-folder.ts";

/** What the headers say; nothing of the weights is read. */
export interface CheckpointHeader {
  readonly path: string;
  readonly config: ModelConfig;
  readonly generation: GenerationDefaults;
  readonly facts: CheckpointFacts;
  /** A GGUF file's own tokenizer; folders have theirs in files beside the weights. */
  readonly tokenizer?: GgufTokenizerData;
}

/** What planning and comparing need of a checkpoint; nothing of the weights is read. */
export interface CheckpointParts {
  readonly header: CheckpointHeader;
  readonly shape: ModelShape;
  readonly tensors: readonly DescribedTensor[];
}

export interface Checkpoint extends CheckpointHeader {
  /** Arrays belong to the MLX scope that is open when they are asked for. */
  readonly source: TensorSource;
  /** What the weights of these layers take in memory on one of so many ranks, with embedding and head where they are at its ends. */
  weightBytesOf(range: LayerRange, ranks?: number): number;
  /** Bytes of the tensors given out so far. */
  loadedBytes(): number;
  /** Closes the files. Arrays that were given out live on. */
  close(): void;
}

/**
 * Reads and checks all headers, for `exo show` and for planning. Throws Problem naming the file, and the tensor, key or
 * byte, of whatever is missing, cut short, not sound or not supported.
 */
export const readCheckpoint = (path: string): CheckpointHeader => opened(path).header;

/** The sizes of its tensors as they are held. Throws Problem as `readCheckpoint`. */
export const readModelShape = (path: string): ModelShape => readCheckpointParts(path).shape;

export function readCheckpointParts(path: string): CheckpointParts {
  const { header, sized, described } = opened(path);
  return { header, shape: modelShape(sized(), header.config), tensors: described() };
}

/** As `readCheckpoint`, ready to give out tensors on `mlx`'s device. */
export function openCheckpoint(path: string, mlx: NativeMlx): Checkpoint {
  const { header, sized, sourceOver } = opened(path);
  const reader = new CheckpointReader(mlx);
  const source = sourceOver(reader);
  return {
    ...header,
    source,
    weightBytesOf: (range, ranks) =>
      weightBytesOf(sized(), header.config, { ...range, ...(ranks && { ranks }) }),
    loadedBytes: () => source.loadedBytes,
    close() {
      if (source instanceof GgufSource) source.close();
      reader.close();
    },
  };
}

interface Opened {
  readonly header: CheckpointHeader;
  readonly sized: () => readonly SizedTensor[];
  readonly described: () => readonly DescribedTensor[];
  readonly sourceOver: (reader: CheckpointReader) => FolderSource | GgufSource;
}

function opened(path: string): Opened {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (!facts)
    throw new Problem("notFound", `${path} does not exist`, {
      remedy: "give a model's folder or a .gguf file",
    });
  return facts.isDirectory() ? openedFolder(path) : openedGguf(path);
}

function openedFolder(path: string): Opened {
  const { config, generation } = readFolderConfig(path);
  const rules = quantisationRules(join(path, "config.json"), config);
  const tensors = nameTensors(readSafetensorsFolder(path), config);
  const header = { path, config, generation, facts: folderFacts(tensors, rules) };
  return {
    header,
    described: () =>
      [...tensors.values()].map(({ name, storedAs, shape, bytes, parts }) => ({
        name,
        parts,
        line: `${name} ${storedAs} ${shape} ${bytes}`,
      })),
    sized: () => sizedFolder(tensors, rules),
    sourceOver: (reader) => new FolderSource(path, tensors, rules, reader),
  };
}

function openedGguf(path: string): Opened {
  const file = readGgufParts(path);
  const config = ggufConfig(file, ropeFactors(file));
  const tensors = nameGgufTensors(file.tensors, config);
  checkUsable(tensors, config);
  const header = {
    path,
    config,
    generation: ggufGeneration(file),
    facts: ggufFacts(tensors),
    tokenizer: ggufTokenizer(file),
  };
  return {
    header,
    described: () =>
      [...tensors.values()].map(({ name, tensor }) => ({
        name,
        parts: [tensor],
        line: `${name} ${tensor.type.name} ${tensor.shape}`,
      })),
    sized: () => sizedGguf(tensors),
    sourceOver: (reader) => new GgufSource(path, tensors, reader),
  };
}
