/** MLX's rules about shapes, as arithmetic on lists of numbers. Each refuses with MlxError naming the operation. */
import type { Packed } from "./array.ts";
import { MlxError } from "./call.ts";

export type Shape = readonly number[];

export const sizeOf = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);

/** A negative axis counted from the end. */
export function axisOf(
  operation: string,
  shape: Shape,
  axis: number,
  said: readonly Shape[] = [shape],
): number {
  const at = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(axis) || at < 0 || at >= shape.length) {
    throw new MlxError(operation, said, `axis ${axis} is not one of ${shape.length}`);
  }
  return at;
}

/** start and stop as they lie in the axis; negative ones count from the end. MLX would clamp them, which hides mistakes. */
export function sliceBounds(
  operation: string,
  shape: Shape,
  axis: number,
  start: number,
  stop: number,
): readonly [number, number] {
  const size = shape[axis] ?? 0;
  const from = start < 0 ? start + size : start;
  const to = stop < 0 ? stop + size : stop;
  if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || to < from || to > size) {
    throw new MlxError(operation, [shape], `${start} to ${stop} is outside axis ${axis} of ${size}`);
  }
  return [from, to];
}

const sameUntil = (a: Shape, b: Shape, axis: number): boolean =>
  a.every((size, i) => i === axis || size === b[i]);

/** The shape two arrays take together: axes are matched from the last, and an axis of 1 stretches. */
export function broadcast(operation: string, a: Shape, b: Shape, said: readonly Shape[] = [a, b]): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [left, right] = [a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1];
    if (left !== right && left !== 1 && right !== 1) {
      throw new MlxError(
        operation,
        said,
        `shapes [${a.join(", ")}] and [${b.join(", ")}] cannot be broadcast`,
      );
    }
    return left === 1 ? right : left;
  });
}

export function broadcastTo(shape: Shape, to: Shape): Shape {
  const together = broadcast("broadcast_to", shape, to, [shape]);
  if (together.length !== to.length || !sameUntil(together, to, -1)) {
    throw new MlxError("broadcast_to", [shape], `it cannot become [${to.join(", ")}]`);
  }
  return to;
}

/** One size may be -1: whatever is left. */
export function reshape(shape: Shape, to: Shape): Shape {
  const size = sizeOf(shape);
  const open = to.filter((length) => length === -1).length;
  const known = sizeOf(to.filter((length) => length !== -1));
  const rest = open === 1 && known > 0 ? size / known : 1;
  if (open > 1 || !Number.isInteger(rest) || known * rest !== size) {
    throw new MlxError("reshape", [shape], `${size} values cannot become [${to.join(", ")}]`);
  }
  return to.map((length) => (length === -1 ? rest : length));
}

export function transpose(shape: Shape, axes: Shape): Shape {
  if (axes.length === 0) return shape.toReversed();
  const at = axes.map((axis) => axisOf("transpose_axes", shape, axis));
  if (at.length !== shape.length || new Set(at).size !== at.length) {
    throw new MlxError(
      "transpose_axes",
      [shape],
      `[${axes.join(", ")}] is not an order of ${shape.length} axes`,
    );
  }
  return at.map((axis) => shape[axis] ?? 0);
}

export function swapaxes(shape: Shape, a: number, b: number): Shape {
  const [first, second] = [axisOf("swapaxes", shape, a), axisOf("swapaxes", shape, b)];
  return shape.with(first, shape[second] ?? 0).with(second, shape[first] ?? 0);
}

export function expandDims(shape: Shape, axis: number): Shape {
  const at = axis < 0 ? axis + shape.length + 1 : axis;
  if (at < 0 || at > shape.length)
    throw new MlxError("expand_dims", [shape], `axis ${axis} is out of bounds`);
  return shape.toSpliced(at, 0, 1);
}

export function squeeze(shape: Shape, axis: number): Shape {
  const at = axisOf("exo_squeeze", shape, axis);
  if (shape[at] !== 1) throw new MlxError("exo_squeeze", [shape], `axis ${axis} has ${shape[at]} values`);
  return shape.toSpliced(at, 1);
}

export function concat(shapes: readonly Shape[], axis: number): Shape {
  const [first = []] = shapes;
  const at = axis < 0 ? axis + first.length : axis;
  if (
    at < 0 ||
    at >= first.length ||
    shapes.some((s) => s.length !== first.length || !sameUntil(s, first, at))
  ) {
    throw new MlxError("concatenate_axis", shapes, `they differ elsewhere than in axis ${axis}`);
  }
  return first.with(
    at,
    shapes.reduce((sum, shape) => sum + (shape[at] ?? 0), 0),
  );
}

export function reduced(operation: string, shape: Shape, axis: number, keepdims: boolean): Shape {
  const at = axisOf(operation, shape, axis);
  return keepdims ? shape.with(at, 1) : shape.toSpliced(at, 1);
}

/** The axis is replaced by the axes of the indices. */
export function take(shape: Shape, indices: Shape, axis: number): Shape {
  const said = [shape, indices];
  const at = axisOf("take_axis", shape, axis, said);
  if (shape[at] === 0 && sizeOf(indices) > 0)
    throw new MlxError("take_axis", said, "there is nothing to take");
  return shape.toSpliced(at, 1, ...indices);
}

/** A reduction that needs at least one value, unlike a sum: a maximum along its axis, the others anywhere. */
export function chosen(operation: string, shape: Shape, axis: number, keepdims: boolean): Shape {
  const at = axisOf(operation, shape, axis);
  if (operation === "max_axis" ? shape[at] === 0 : sizeOf(shape) === 0) {
    throw new MlxError(operation, [shape], "there is nothing to choose from");
  }
  return reduced(operation, shape, axis, keepdims);
}

/** The indices of a gather or scatter along one axis: they match the array, or stretch, in every other axis. */
export function alongAxis(
  operation: string,
  [shape, indices]: readonly [Shape, Shape],
  axis: number,
  said: readonly Shape[] = [shape, indices],
): Shape {
  const at = axisOf(operation, shape, axis, said);
  if (shape.length !== indices.length) throw new MlxError(operation, said, "the numbers of axes differ");
  const others = broadcast(operation, shape.with(at, 1), indices.with(at, 1), said);
  return others.with(at, indices[at] ?? 0);
}

/** [.., n, k] · [.., k, m], the leading axes broadcast; a vector is a row on the left and a column on the right. */
export function matmul(operation: string, a: Shape, b: Shape, said: readonly Shape[] = [a, b]): Shape {
  if (a.length === 0 || b.length === 0) throw new MlxError(operation, said, "a number has no last axis");
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  if (left.at(-1) !== right.at(-2))
    throw new MlxError(operation, said, `${left.at(-1)} columns meet ${right.at(-2)} rows`);
  const batch = broadcast(operation, left.slice(0, -2), right.slice(0, -2), said);
  return [
    ...batch,
    ...(a.length === 1 ? [] : [left.at(-2) ?? 0]),
    ...(b.length === 1 ? [] : [right.at(-1) ?? 0]),
  ];
}

/** Shapes of what an operation on a packed weight was given, for its error. */
export const partShapes = (x: Shape | undefined, { weight, scales, biases }: Packed): readonly Shape[] =>
  [x, weight.shape, scales.shape, biases?.shape].filter((shape) => shape !== undefined);

/** The shape a packed weight [.., out, in·bits/32] stands for: [.., out, in]. */
export function unpacked(operation: string, x: Shape, packed: Packed, said = partShapes(x, packed)): Shape {
  const { weight, scales, bits, groupSize } = packed;
  const inputs = ((weight.shape.at(-1) ?? 0) * 32) / bits;
  if ((scales.shape.at(-1) ?? 0) * groupSize !== inputs) {
    throw new MlxError(operation, said, `${inputs} inputs are not in groups of ${groupSize}`);
  }
  return [...weight.shape.slice(0, -1), inputs];
}

/** Where `update` lies in an axis of `shape`, checked. */
export function sliceUpdateBounds(
  shape: Shape,
  update: Shape,
  axis: number,
  start: number,
): readonly [number, number, number] {
  const at = axisOf("slice_update", shape, axis);
  const size = update[at] ?? 0;
  const from = start < 0 ? start + (shape[at] ?? 0) : start;
  if (update.length !== shape.length || !sameUntil(update, shape, at)) {
    throw new MlxError("slice_update", [shape, update], `they differ elsewhere than in axis ${axis}`);
  }
  return [at, ...sliceBounds("slice_update", shape, at, from, from + size)];
}

/** Queries [B, Hq, L, D], keys [B, Hkv, S, D], values [B, Hkv, S, Dv]: [B, Hq, L, Dv]. */
export function attention(queries: Shape, keys: Shape, values: Shape, mask: Shape | undefined): Shape {
  const operation = "fast_scaled_dot_product_attention";
  const said = [queries, keys, values, ...(mask ? [mask] : [])];
  const fail = (why: string): never => {
    throw new MlxError(operation, said, why);
  };
  if ([queries, keys, values].some((shape) => shape.length !== 4)) fail("each needs 4 axes");
  const [batch = 0, heads = 0, length = 0, dims = 0] = queries;
  const [kvBatch, kvHeads = 0, rows = 0, kvDims] = keys;
  if (kvBatch !== batch || values[0] !== batch) fail("the batches differ");
  if (kvDims !== dims) fail("queries and keys differ in their last axis");
  if (values[1] !== kvHeads || values[2] !== rows || heads % kvHeads !== 0) fail("the heads do not match");
  if (mask) broadcast(operation, [batch, heads, length, rows], mask, said);
  return [batch, heads, length, values[3] ?? 0];
}

/** Queries, keys and values of one token a sequence, however shaped: [sequences, 1, Hq · Dv]. */
export function cachedAttention(
  queries: Shape,
  keys: Shape,
  values: Shape,
  slots: readonly { readonly keys: { readonly shape: Shape } }[],
): Shape {
  const [queryCount, keyCount, valueCount] = [queries, keys, values].map(sizeOf) as [number, number, number];
  const heads = slots[0]?.keys.shape[1] ?? 0;
  const said = [queries, keys, values, ...slots.map((slot) => slot.keys.shape)];
  if (
    slots.length === 0 ||
    heads === 0 ||
    queryCount % keyCount !== 0 ||
    keyCount % (heads * slots.length) !== 0
  ) {
    throw new MlxError(
      "exo_cached_attention",
      said,
      "queries, keys, values and caches differ in their heads",
    );
  }
  return [slots.length, 1, (queryCount / keyCount) * (valueCount / slots.length)];
}
