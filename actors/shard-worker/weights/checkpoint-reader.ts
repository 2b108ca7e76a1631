/** The native side of a checkpoint: open files, and arrays out of their bytes. */
import type { Dtype, MxArray } from "#ffi/array";
import { MlxError } from "#ffi/call";
import { dtypeCode } from "#ffi/dtypes";
import type { exo_file, mlx_array } from "#ffi/generated/symbols";
import type { NativeMlx } from "#ffi/native";
import { Problem } from "#protocol/problem";

/** `pieces` runs of `bytes` bytes, the first at `offset`, each starting `stride` after the one before. */
export interface Span {
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
  readonly pieces: number;
  readonly stride: number;
}

/** Which part of a stack of matrices of blocks; ends are exclusive. Packed columns come in groups of 32. */
export interface GgmlRange {
  readonly path: string;
  readonly type: number;
  readonly offset: number;
  readonly columns: readonly [size: number, start: number, end: number];
  readonly rows: readonly [size: number, start: number, end: number];
  readonly matrices: readonly [size: number, start: number, end: number];
  readonly headRows: number;
  readonly stacked: boolean;
}

/** Opens each file once, when first asked. After `close`, arrays that were made live on. */
export class CheckpointReader {
  private readonly mlx: NativeMlx;
  private readonly files = new Map<string, exo_file>();

  constructor(mlx: NativeMlx) {
    this.mlx = mlx;
  }

  /** An array of the spans' bytes one after the other; mapped, not copied, where it is one piece. */
  array(spans: readonly Span[], shape: readonly number[], dtype: Dtype): MxArray {
    const paths = [...new Set(spans.map(({ path }) => path))];
    const files = BigUint64Array.from(paths, (path) => BigInt(this.file(path)));
    const words = spans.flatMap(({ path, offset, bytes, pieces, stride }) => [
      paths.indexOf(path),
      offset,
      bytes,
      pieces,
      stride,
    ]);
    const [list, axes] = [BigInt64Array.from(words, BigInt), Int32Array.from(shape)];
    const { native } = this.mlx;
    return this.mlx.adopt(
      native.exo_file_array(files, files.length, list, spans.length, axes, shape.length, dtypeCode(dtype)),
    );
  }

  /** Weight, scales, biases (or weight and scales, or elements) of the range; whoever asks frees or adopts them. */
  unpacked({
    path,
    type,
    offset,
    columns,
    rows,
    matrices,
    headRows,
    stacked,
  }: GgmlRange): readonly mlx_array[] {
    const { native } = this.mlx;
    const words = [
      type,
      offset,
      columns[0],
      rows[0],
      matrices[0],
      rows[1],
      rows[2],
      columns[1],
      columns[2],
      matrices[1],
      matrices[2],
      headRows,
    ];
    const vector = native.exo_ggml_array(this.file(path), BigInt64Array.from(words, BigInt), stacked);
    try {
      return Array.from({ length: native.vector_array_size(vector) }, (_, i) =>
        native.vector_array_get(vector, i),
      );
    } finally {
      native.vector_array_free(vector);
    }
  }

  adopt(handle: mlx_array): MxArray {
    return this.mlx.adopt(handle);
  }
  free(handle: mlx_array): void {
    this.mlx.native.array_free(handle);
  }

  close(): void {
    for (const file of this.files.values()) this.mlx.native.exo_file_free(file);
    this.files.clear();
  }

  private file(path: string): exo_file {
    const open = this.files.get(path) ?? this.mlx.native.exo_file_open(path);
    this.files.set(path, open);
    return open;
  }
}

/** Runs `work`; a native failure becomes a Problem naming the tensor. The native text names the file. */
export function readingTensor<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof MlxError)) throw cause;
    throw new Problem("invalid", `tensor '${name}' cannot be read: ${cause.message}`, {
      cause,
      remedy: "the file may be damaged or may have changed: fetch the model again",
    });
  }
}
