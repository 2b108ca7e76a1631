/** A GGUF file as a source of tensors: blocks become MLX's packed weights, scales and biases as they are asked for. */
import type { MxArray, Quantisation } from "#ffi/array";
import { dtypeBytes } from "#ffi/dtypes";
import type { mlx_array } from "#ffi/generated/symbols";
import type { TensorSlice, TensorSource } from "#ffi/weights";
import { Problem } from "#protocol/problem";
import { type CheckpointReader, readingTensor } from "./checkpoint-reader.ts";
import { type Cut, cutOf, runsOf } from "./checkpoint-slice.ts";
import { GGML_GROUP } from "./ggml-types.ts";
import type { GgufNamed } from "./gguf-names.ts";

const partNames = ["weight", "scales", "biases"] as const;
type Part = (typeof partNames)[number];

interface Found {
  readonly named: GgufNamed;
  /** Absent: the tensor is not packed and is wanted as it is. */
  readonly packed?: { readonly as: Quantisation; readonly part: Part };
}

export class GgufSource implements TensorSource {
  /** Bytes of the tensors given out so far. */
  loadedBytes = 0;
  private readonly path: string;
  private readonly tensors: ReadonlyMap<string, GgufNamed>;
  private readonly reader: CheckpointReader;
  /** One pass over the blocks gives all parts of a packed matrix; those not yet asked for wait here, by name and slice. */
  private readonly waiting = new Map<string, mlx_array>();

  constructor(path: string, tensors: ReadonlyMap<string, GgufNamed>, reader: CheckpointReader) {
    this.path = path;
    this.tensors = tensors;
    this.reader = reader;
  }

  has(name: string): boolean {
    return this.find(name) !== undefined;
  }

  shapeOf(name: string): readonly number[] {
    return shapeOf(this.known(name));
  }

  quantisation(path: string): Quantisation | undefined {
    const held = this.tensors.get(`${path}.weight`)?.tensor.type.held;
    return held?.kind === "packed" ? held.as : undefined;
  }

  tensor(name: string, slice?: TensorSlice): MxArray {
    const found = this.known(name);
    const shape = shapeOf(found);
    const { tensor, headRows } = found.named;
    const cut = cutOf(name, shape, slice);
    const array = readingTensor(name, () => {
      if (found.packed) return this.part(name, found, cut);
      const dtype = tensor.type.held?.kind === "elements" ? tensor.type.held.dtype : "float32";
      if (headRows === 0) {
        const runs = runsOf(shape, cut, tensor.type.bytes);
        return this.reader.array(
          [{ path: tensor.path, ...runs, offset: tensor.offset + runs.offset }],
          cut.shape,
          dtype,
        );
      }
      const [handle = 0] = this.reader.unpacked(rangeOf(name, found.named, cut));
      const rows = this.reader.adopt(handle);
      return tensor.shape.length === 1 ? rows.reshape(...cut.shape) : rows;
    });
    this.loadedBytes += cut.shape.reduce((size, n) => size * n, dtypeBytes(array.dtype));
    return array;
  }

  /** Frees what was unpacked and never asked for. */
  close(): void {
    for (const handle of this.waiting.values()) this.reader.free(handle);
    this.waiting.clear();
  }

  private part(name: string, { named, packed }: Found, cut: Cut): MxArray {
    const module = moduleOf(name);
    const key = (part: string) => `${module}.${part} ${cut.axis} ${cut.part}`;
    const part = packed?.part ?? "weight";
    let handle = this.waiting.get(key(part));
    if (handle === undefined) {
      const perGroup = part === "weight" ? (packed?.as.bits ?? 0) : 1;
      const handles = this.reader.unpacked(rangeOf(name, named, cut, perGroup));
      for (const [i, other] of partNames.entries()) {
        const made = handles[i];
        if (made === undefined) continue;
        const old = this.waiting.get(key(other));
        if (old !== undefined) this.reader.free(old);
        this.waiting.set(key(other), made);
      }
      handle = handles[partNames.indexOf(part)] ?? 0;
    }
    this.waiting.delete(key(part));
    return this.reader.adopt(handle);
  }

  private find(name: string): Found | undefined {
    const part = partNames.find((candidate) => name.endsWith(`.${candidate}`));
    const named = this.tensors.get(part === undefined ? name : `${moduleOf(name)}.weight`);
    const held = named?.tensor.type.held;
    if (!named || part === undefined || held?.kind !== "packed") {
      return named && (part === undefined || part === "weight") ? { named } : undefined;
    }
    return part === "biases" && held.as.mode !== "affine"
      ? undefined
      : { named, packed: { as: held.as, part } };
  }

  private known(name: string): Found {
    const found = this.find(name);
    if (found) return found;
    throw new Problem("notFound", `${this.path} lacks tensor '${name}'`, {
      remedy: "the file is incomplete or was converted from another kind of model: fetch it again",
    });
  }
}

const moduleOf = (name: string): string => name.slice(0, name.lastIndexOf("."));

/** As MLX has it: packed words, scales per group, or the elements themselves. */
function shapeOf({ named: { tensor }, packed }: Found): readonly number[] {
  if (!packed) return tensor.shape;
  const columns = tensor.shape.at(-1) ?? 0;
  const perGroup = packed.part === "weight" ? packed.as.bits : 1;
  return [...tensor.shape.slice(0, -1), (columns / GGML_GROUP) * perGroup];
}

/** A cut in the file's own columns; 32 of them are `perGroup` columns of a packed array. */
function rangeOf(name: string, { tensor, headRows }: GgufNamed, cut: Cut, perGroup = GGML_GROUP) {
  const { path, type, offset, shape } = tensor;
  // A row of one value each: so a bias is put in order like a matrix.
  const matrix = shape.length === 1 ? [...shape, 1] : shape;
  const [columns = 1, rows = 1, ...rest] = matrix.toReversed();
  const matrices = rest.reduce((product, n) => product * n, 1);
  const fromEnd = matrix.length - 1 - cut.axis;
  const along = (position: number, size: number, per = GGML_GROUP) =>
    fromEnd === position
      ? ([size, (cut.start * GGML_GROUP) / per, (cut.end * GGML_GROUP) / per] as const)
      : ([size, 0, size] as const);
  const columnRange = along(0, columns, perGroup);
  if (
    columnRange.some((n) => type.values > 1 && n % GGML_GROUP !== 0) ||
    (headRows > 0 && fromEnd === 1 && (cut.end - cut.start) % headRows !== 0)
  ) {
    throw new Problem(
      "invalid",
      `tensor '${name}' of shape [${shape.join(", ")}] cannot be cut there: its ${type.name} blocks or its heads would be torn`,
      {
        remedy: "split the model over fewer machines",
      },
    );
  }
  return {
    path,
    type: type.id,
    offset,
    columns: columnRange,
    rows: along(1, rows),
    matrices: along(2, matrices),
    headRows,
    stacked: shape.length > 2,
  };
}
