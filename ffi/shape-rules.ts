/** MLX's rules about shapes, as arithmetic on lists of numbers. Each refuses with MlxError naming the operation. */
import { MlxError } from "./call.ts";

export type Shape = readonly number[];

export const sizeOf = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);

/** A negative axis counted from the end. */
export function axisOf(operation: string, shape: Shape, axis: number): number {
  const at = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(axis) || at < 0 || at >= shape.length) {
    throw new MlxError(operation, [shape], `axis ${axis} is not one of ${shape.length}`);
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
