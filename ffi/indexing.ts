/** Slices along one axis, and joining: what needs lists of integers or of arrays in C. */
import type { mlx_array } from "./generated/symbols.ts";
import type { NativeMlx } from "./native.ts";
import type { NativeArray } from "./native-array.ts";
import { axisOf, sliceBounds, sliceUpdateBounds } from "./shape-rules.ts";

export function slice(array: NativeArray, axis: number, start: number, stop: number): mlx_array {
  const { shape } = array;
  const { native, words, stream } = array.mlx;
  const at = axisOf("slice", shape, axis);
  const [from, to] = sliceBounds("slice", shape, at, start, stop);
  const rank = shape.length;
  const stops = words.second(shape);
  stops[at] = to;
  const starts = words.first(shape).fill(0, 0, rank);
  starts[at] = from;
  return native.slice(array.handle, starts, rank, stops, rank, words.ones(rank), rank, stream);
}

export function sliceUpdate(array: NativeArray, update: NativeArray, axis: number, start: number): mlx_array {
  const { shape } = array;
  const { native, words, stream } = array.mlx;
  const [at, from, to] = sliceUpdateBounds(shape, update.shape, axis, start);
  const rank = shape.length;
  const stops = words.second(shape);
  stops[at] = to;
  const starts = words.first(shape).fill(0, 0, rank);
  starts[at] = from;
  return native.slice_update(
    array.handle,
    update.handle,
    starts,
    rank,
    stops,
    rank,
    words.ones(rank),
    rank,
    stream,
  );
}

export function concat(arrays: readonly NativeArray[], axis: number, mlx: NativeMlx): mlx_array {
  const { native, stream } = mlx;
  const vector = mlx.vector(arrays);
  try {
    return native.concatenate_axis(vector, axis, stream);
  } finally {
    native.vector_array_free(vector);
  }
}
