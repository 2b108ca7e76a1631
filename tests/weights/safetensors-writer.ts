/** Writes safetensors files for tests: sound ones, and ones with a header of the test's choosing. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface TensorToWrite {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), "exo-weights-"));

/** Writes and names the file. */
export function write(path: string, bytes: Uint8Array | string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  return path;
}

export const bytesOf = (values: ArrayBufferView): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

export const float32 = (shape: readonly number[], values: readonly number[]): TensorToWrite => ({
  dtype: "F32",
  shape,
  data: bytesOf(Float32Array.from(values)),
});

/** A tensor of 0, 1, 2, …, which shows which part of it was read. */
export const counted = (...shape: readonly number[]): TensorToWrite =>
  float32(
    shape,
    Array.from({ length: shape.reduce((size, n) => size * n, 1) }, (_, i) => i),
  );

/** The bytes of a sound file. */
export function safetensors(tensors: Readonly<Record<string, TensorToWrite>>): Uint8Array {
  let offset = 0;
  const entries = Object.entries(tensors).map(([name, { dtype, shape, data }]) => {
    const start = offset;
    offset += data.length;
    return [name, { dtype, shape, data_offsets: [start, offset] }];
  });
  const header = JSON.stringify({ __metadata__: { format: "pt" }, ...Object.fromEntries(entries) });
  return withHeader(
    header.padEnd(Math.ceil(header.length / 8) * 8),
    Object.values(tensors).map(({ data }) => data),
  );
}

/** A file with this header, sound or not, and this data. */
export function withHeader(header: string, data: readonly Uint8Array[] = []): Uint8Array {
  const json = new TextEncoder().encode(header);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
  return Buffer.concat([length, json, ...data]);
}
