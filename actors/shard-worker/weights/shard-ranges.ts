/** Which bytes of a checkpoint's files the holder of some layers reads, by the headers alone. */
import { statSync } from "node:fs";
import { basename } from "node:path";
import type { LayerRange } from "#protocol/shard";
import { readFolderConfig } from "./config.ts";
import type { GgufFile } from "./gguf.ts";
import { readGgufParts } from "./gguf-parts.ts";
import { heldBy } from "./model-shape.ts";
import { nameTensors } from "./names.ts";
import { readSafetensorsFolder } from "./safetensors-folder.ts";

export interface FileRange {
  /** Its name in the checkpoint's folder. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

/** Of the tensors of these layers, with embedding and head where they are at its ends. Throws Problem where headers are not sound. */
export const shardRanges = (path: string, layers: LayerRange): readonly FileRange[] =>
  (statSync(path).isDirectory() ? inFolder(path, layers) : inGguf(path, layers)).map(
    ({ path: own, offset, bytes }) => ({ file: basename(own), offset, bytes }),
  );

interface Stored {
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
}

function inFolder(path: string, layers: LayerRange): readonly Stored[] {
  const { config } = readFolderConfig(path);
  const tensors = [...nameTensors(readSafetensorsFolder(path), config).values()];
  const isHeld = heldBy(tensors, config, layers);
  return tensors.filter(isHeld).flatMap(({ parts }) => parts);
}

const LAYER = /^blk\.(\d+)\./;

/** By the file's own names: what its metadata say needs tensors that may not be here yet. */
function inGguf(path: string, { start, end }: LayerRange): readonly Stored[] {
  const { tensors } = readGgufParts(path);
  const numbers = tensors.flatMap(({ name }) => LAYER.exec(name)?.[1] ?? []).map(Number);
  const isLast = end > Math.max(...numbers);
  const isTied = !tensors.some(({ name }) => name === "output.weight");
  const isHeld = ({ name }: GgufFile["tensors"][number]): boolean => {
    const layer = LAYER.exec(name)?.[1];
    if (layer !== undefined) return Number(layer) >= start && Number(layer) < end;
    if (name === "token_embd.weight") return start === 0 || (isLast && isTied);
    // `rope_freqs` and its like are part of the config, and small.
    return isLast || name.startsWith("rope_");
  };
  return tensors.filter(isHeld);
}
