/** The weights of the tiny models, from a seed in each tensor's name: the same rule as tests/parity/record.py. */
import { join } from "node:path";
import {
  bytesOf,
  safetensors,
  type TensorToWrite,
  temporaryFolder,
  write,
} from "../weights/safetensors-writer.ts";

const { imul } = Math;

/** FNV-1a over UTF-8 (http://www.isthe.com/chongo/tech/comp/fnv/). */
function fnv1a(text: string): number {
  let hashed = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hashed = imul(hashed ^ byte, 0x01000193);
  return hashed;
}

/** The finaliser of MurmurHash3 (public domain, Austin Appleby). */
function mix(value: number): number {
  let x = value | 0;
  x = imul(x ^ (x >>> 16), 0x85ebca6b);
  x = imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** About N(0, 1): the sum of four 16-bit uniforms, exact in float64 on both sides. */
function normal(name: string, count: number): Float64Array {
  const seed = fnv1a(name);
  return Float64Array.from({ length: count }, (_, i) => {
    const [a, b] = [mix(imul(2 * i, 0x9e3779b9) + seed), mix(imul(2 * i + 1, 0x9e3779b9) + seed)];
    const total = (a & 0xffff) + (a >>> 16) + (b & 0xffff) + (b >>> 16);
    return ((total - 131070) / 65535) * Math.sqrt(3);
  });
}

/** Float32 values of one tensor; `rough` is the initialisation that makes mistakes visible. */
export function seeded(name: string, shape: readonly number[], rough: boolean): Float32Array {
  const values = normal(
    name,
    shape.reduce((a, b) => a * b, 1),
  );
  return Float32Array.from(values, (value) => scaled(name, shape, rough, value));
}

function scaled(name: string, shape: readonly number[], rough: boolean, value: number): number {
  if (name.endsWith("norm.weight")) return rough ? 1 + 0.3 * value : 1;
  if (shape.length === 1) return rough ? 0.3 * value : 0;
  if (!rough) return 0.02 * value;
  return name.endsWith("embed_tokens.weight") ? value : (1.5 * value) / Math.sqrt(shape.at(-1) ?? 1);
}

/** Writes a Hugging Face folder: config.json and one safetensors file. */
export function writeTensors(
  folder: string,
  tensors: Readonly<Record<string, TensorToWrite>>,
  config: object,
): void {
  write(join(folder, "config.json"), JSON.stringify(config));
  write(join(folder, "model.safetensors"), safetensors(tensors));
}

/** A folder in the temporary directory with the seeded float32 weights of a recorded model. */
export function writeCheckpoint(
  config: object,
  shapes: Readonly<Record<string, readonly number[]>>,
  rough: boolean,
): string {
  const folder = temporaryFolder();
  const tensors = Object.entries(shapes).map(([name, shape]): [string, TensorToWrite] => {
    return [name, { dtype: "F32", shape, data: bytesOf(seeded(name, shape, rough)) }];
  });
  writeTensors(folder, Object.fromEntries(tensors), config);
  return folder;
}
