/** Weights over any TensorSource: finds a module's tensors, slices them for this rank, and makes layers of them. */
import { Problem } from "#protocol/problem";
import type { Dtype, Mlx, MxArray, Packed, Quantisation } from "./array.ts";
import { dtypeBytes, isFloating } from "./dtypes.ts";
import { embeddingLayer } from "./nn/embedding.ts";
import { expertLayer } from "./nn/experts.ts";
import { isPacked, linearLayer } from "./nn/linear.ts";
import { rmsNormLayer } from "./nn/norm.ts";
import type {
  Collective,
  Embedding,
  ExpertLayer,
  Norm,
  Parts,
  Projection,
  TensorSlice,
  TensorSource,
  Weights,
} from "./weights.ts";

export interface CursorOptions {
  /** What computation runs in. */
  readonly dtype: Dtype;
  readonly rank?: number;
  readonly world?: number;
  /** Needed where `world` is more than 1. */
  readonly collective?: Collective;
}

/**
 * The cursor at the root of a checkpoint. A floating weight that is at least as wide as `dtype` is held in `dtype`; a
 * narrower one (float16 under float32) stays as stored and is widened by MLX where it is used, because a widened copy
 * would double the memory. Norms and biases are small and always held in `dtype`.
 */
export function weightsOf(
  source: TensorSource,
  mlx: Mlx,
  { dtype, rank = 0, world = 1, collective }: CursorOptions,
): Weights {
  if (world > 1 !== (collective !== undefined))
    throw new Error("ranks need each other, one alone needs nobody");
  return new Cursor({ source, mlx, dtype, rank, world, collective, loaded: new Map() }, "");
}

interface Root {
  readonly source: TensorSource;
  readonly mlx: Mlx;
  readonly dtype: Dtype;
  readonly rank: number;
  readonly world: number;
  readonly collective: Collective | undefined;
  /** Matrices by path and slice, so that a tied embedding is held once. */
  readonly loaded: Map<string, MxArray | Packed>;
}

/** Which axis of [.., out, in], counted from the end, is shared among ranks. */
type Split = "column" | "row" | "whole";

class Cursor implements Weights {
  readonly path: string;
  private readonly root: Root;

  constructor(root: Root, path: string) {
    this.root = root;
    this.path = path;
  }

  get mlx(): Mlx {
    return this.root.mlx;
  }
  get dtype(): Dtype {
    return this.root.dtype;
  }
  get rank(): number {
    return this.root.rank;
  }
  get world(): number {
    return this.root.world;
  }
  get collective(): Collective | undefined {
    return this.root.collective;
  }

  at(name: string | number): Weights {
    return new Cursor(this.root, this.under(String(name)));
  }
  has(name: string): boolean {
    const path = this.under(name);
    return this.root.source.has(path) || this.root.source.has(`${path}.weight`);
  }

  column(name: string, parts?: Parts): Projection {
    return linearLayer(this.load(name, "column", parts), this.bias(name, "column", parts));
  }
  row(name: string): Projection {
    // The ranks' results are summed, so exactly one of them adds the bias.
    return linearLayer(this.load(name, "row"), this.rank === 0 ? this.bias(name, "row") : undefined);
  }
  linear(name: string): Projection {
    return linearLayer(this.load(name, "whole"), this.bias(name, "whole"));
  }
  embedding(name: string): Embedding {
    return embeddingLayer(this.load(name, "whole"), this.dtype);
  }
  head(name: string): Projection {
    const path = this.under(name);
    const [rows = 0] = this.world > 1 ? this.root.source.shapeOf(`${path}.weight`) : [];
    if (this.world === 1 || rows % this.world !== 0) return this.linear(name);
    // What is the embedding too is held whole already.
    if (!this.root.loaded.has(`${path} whole `)) return this.column(name);
    const share = rows / this.world;
    return linearLayer(rowsOf(this.load(name, "whole"), share * this.rank, share), undefined);
  }
  rmsNorm(name: string, eps: number): Norm {
    const path = this.under(name);
    return rmsNormLayer(this.small(this.root.source.has(path) ? path : `${path}.weight`), eps);
  }
  experts(name: string, split: "column" | "row"): ExpertLayer {
    const bias = split === "row" && this.rank !== 0 ? undefined : this.bias(name, split);
    return expertLayer(this.load(name, split), bias);
  }
  tensor(name: string): MxArray {
    return this.root.source.tensor(this.under(name));
  }
  matrix(name: string): MxArray | Packed {
    return this.load(name, "whole");
  }

  private under(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }

  private load(name: string, split: Split, parts?: Parts): MxArray | Packed {
    const path = this.under(name);
    const key = `${path} ${split} ${parts?.indices.join() ?? ""}`;
    const { loaded, source } = this.root;
    const known = loaded.get(key);
    if (known !== undefined) return known;
    const quantisation = source.quantisation(path);
    const matrix = quantisation
      ? this.packed(path, split, quantisation, parts)
      : this.dense(path, split, parts);
    loaded.set(key, matrix);
    return matrix;
  }

  private dense(path: string, split: Split, parts?: Parts): MxArray {
    const name = `${path}.weight`;
    return this.held(() => this.own(name, this.slices(name, split, parts)), false);
  }

  private packed(path: string, split: Split, quantisation: Quantisation, parts?: Parts): Packed {
    const part = (name: string): MxArray =>
      this.held(() => this.own(`${path}.${name}`, this.slices(`${path}.${name}`, split, parts)), false);
    // Groups run along the inputs: a rank must hold whole ones, or its scales would not be its own.
    if (split === "row") this.slice(`${path}.scales`, split);
    const both = { weight: part("weight"), scales: part("scales") };
    return quantisation.mode === "affine"
      ? { ...quantisation, ...both, biases: part("biases") }
      : { ...quantisation, ...both };
  }

  /** A module's own bias, in its output's order: shared among ranks as the output is. */
  private bias(name: string, split: Split, parts?: Parts): MxArray | undefined {
    const path = `${this.under(name)}.bias`;
    if (!this.root.source.has(path)) return undefined;
    const slices = split === "column" ? this.slices(path, split, parts, 1) : [undefined];
    return this.held(() => this.own(path, slices), true);
  }

  private small(path: string): MxArray {
    return this.held(() => this.root.source.tensor(path), true);
  }

  /** One after the other along the axis that is sliced. */
  private own(name: string, slices: readonly (TensorSlice | undefined)[]): MxArray {
    const [first, ...others] = slices.map((slice) => this.root.source.tensor(name, slice));
    if (!first) throw new Error(`no part of ${name} is asked for`);
    return others.length === 0 ? first : first.concat(others, slices[0]?.axis ?? 0).eval();
  }

  private slices(
    name: string,
    split: Split,
    parts: Parts | undefined,
    columnAxis = 2,
  ): readonly (TensorSlice | undefined)[] {
    if (!parts) return [this.slice(name, split, columnAxis)];
    const { length } = this.root.source.shapeOf(name);
    return parts.indices.map((index) => ({ axis: length - columnAxis, index, count: parts.count }));
  }

  /** This rank's part of a tensor [.., out, in]; of a bias [.., out] where `columnAxis` is 1. */
  private slice(name: string, split: Split, columnAxis = 2): TensorSlice | undefined {
    const { source, rank, world } = this.root;
    if (split === "whole" || world === 1) return undefined;
    const shape = source.shapeOf(name);
    const axis = shape.length - (split === "column" ? columnAxis : 1);
    const size = shape[axis] ?? 0;
    if (size % world !== 0) {
      const unit = name.endsWith(".scales") && split === "row" ? "quantisation groups" : "values";
      throw new Problem(
        "invalid",
        `${name} has ${size} ${unit} along axis ${axis}, which ${world} ranks cannot share evenly`,
        {
          param: "world",
          remedy: `use a number of ranks that divides ${size}, or split the model by layers`,
        },
      );
    }
    return { axis, index: rank, count: world };
  }

  /** The tensor in the type it is computed with, where that takes no more memory than it has. */
  private held(tensor: () => MxArray, isSmall: boolean): MxArray {
    const { dtype, mlx } = this.root;
    return mlx.scope(() => {
      const stored = tensor();
      const convert =
        stored.dtype !== dtype &&
        isFloating(stored.dtype) &&
        (isSmall || dtypeBytes(dtype) <= dtypeBytes(stored.dtype));
      return convert ? stored.astype(dtype).eval() : stored;
    });
  }
}

/** Some rows of a matrix that is held already, without another copy of them. */
function rowsOf(matrix: MxArray | Packed, start: number, count: number): MxArray | Packed {
  const of = (part: MxArray): MxArray => part.slice(0, start, start + count);
  if (!isPacked(matrix)) return of(matrix);
  const { weight, scales, biases } = matrix;
  return { ...matrix, weight: of(weight), scales: of(scales), ...(biases && { biases: of(biases) }) };
}
