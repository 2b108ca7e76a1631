/** A Hugging Face folder as a source of tensors. */
import type { MxArray, Quantisation } from "#ffi/array";
import { dtypeBytes } from "#ffi/dtypes";
import type { TensorSlice, TensorSource } from "#ffi/weights";
import { Problem } from "#protocol/problem";
import { type CheckpointReader, readingTensor, type Span } from "./checkpoint-reader.ts";
import { type Cut, cutOf, runsOf } from "./checkpoint-slice.ts";
import { type QuantisationRules, quantisationAt } from "./config-quantisation.ts";
import type { NamedTensor } from "./names.ts";

export class FolderSource implements TensorSource {
  /** Bytes of the tensors given out so far. */
  loadedBytes = 0;
  private readonly folder: string;
  private readonly tensors: ReadonlyMap<string, NamedTensor>;
  private readonly rules: QuantisationRules | undefined;
  private readonly reader: CheckpointReader;

  constructor(
    folder: string,
    tensors: ReadonlyMap<string, NamedTensor>,
    rules: QuantisationRules | undefined,
    reader: CheckpointReader,
  ) {
    this.folder = folder;
    this.tensors = tensors;
    this.rules = rules;
    this.reader = reader;
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  shapeOf(name: string): readonly number[] {
    return this.known(name).shape;
  }

  quantisation(path: string): Quantisation | undefined {
    return quantisationAt(this.rules, path, this.has(`${path}.scales`));
  }

  tensor(name: string, slice?: TensorSlice): MxArray {
    const tensor = this.known(name);
    const { dtype, storedAs } = tensor;
    if (dtype === undefined) {
      throw new Problem(
        "invalid",
        `tensor '${name}' in ${tensor.parts[0]?.path} is ${storedAs}, which cannot be computed with`,
        {
          remedy:
            "use a copy of the model in MLX's format, unpacked (float16, bfloat16, float32), or as GGUF",
        },
      );
    }
    const cut = cutOf(name, tensor.shape, slice);
    const array = readingTensor(name, () =>
      this.reader.array(spansOf(tensor, cut, dtypeBytes(dtype)), cut.shape, dtype),
    );
    this.loadedBytes += cut.shape.reduce((size, n) => size * n, dtypeBytes(dtype));
    return array;
  }

  private known(name: string): NamedTensor {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    throw new Problem("notFound", `${this.folder} lacks tensor '${name}'`, {
      remedy: "the model is incomplete, or its config.json belongs to another: fetch it again",
    });
  }
}

function spansOf({ parts, stacked, shape }: NamedTensor, cut: Cut, elementBytes: number): readonly Span[] {
  const chosen = stacked && cut.axis === 0 ? parts.slice(cut.start, cut.end) : parts;
  const within = stacked
    ? cut.axis === 0
      ? { axis: 0, start: 0, end: shape[1] ?? 1 }
      : { ...cut, axis: cut.axis - 1 }
    : cut;
  return chosen.map(({ path, offset, shape: own }) => {
    const runs = runsOf(own, within, elementBytes);
    return { path, ...runs, offset: offset + runs.offset };
  });
}
