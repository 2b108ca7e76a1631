/** Which bytes of a row-major tensor one rank needs. */
import type { TensorSlice } from "#ffi/weights";
import { Problem } from "#protocol/problem";

/** A slice of a shape: the axis counted from the front, and from where to where it goes. */
export interface Cut {
  readonly axis: number;
  /** Which of how many equal parts. */
  readonly part: string;
  readonly start: number;
  readonly end: number;
  /** What is left. */
  readonly shape: readonly number[];
}

/** Throws Problem when the axis does not divide into equal parts. */
export function cutOf(name: string, shape: readonly number[], slice: TensorSlice | undefined): Cut {
  const { axis: given, index, count } = slice && slice.count !== 1 ? slice : { axis: 0, index: 0, count: 1 };
  const axis = given < 0 ? shape.length + given : given;
  const length = shape.length === 0 ? 1 : shape[axis];
  if (length === undefined || index < 0 || index >= count || length % count !== 0) {
    throw new Problem(
      "invalid",
      `tensor '${name}' of shape [${shape.join(", ")}] does not divide into ${count} parts along axis ${given}`,
      {
        remedy: `this model cannot be split over ${count} machines: use another number`,
      },
    );
  }
  const size = length / count;
  return {
    axis,
    part: `${index}/${count}`,
    start: index * size,
    end: (index + 1) * size,
    shape: shape.map((n, i) => (i === axis ? size : n)),
  };
}

/** The bytes of a cut in a tensor of this shape, relative to its first: runs of equal length at equal distances. */
export function runsOf(
  shape: readonly number[],
  { axis, start, end }: Pick<Cut, "axis" | "start" | "end">,
  elementBytes: number,
) {
  const inner = shape.slice(axis + 1).reduce((size, n) => size * n, elementBytes);
  const whole = (shape[axis] ?? 1) * inner;
  const bytes = (end - start) * inner;
  const outer = shape.slice(0, axis).reduce((size, n) => size * n, 1);
  // What is whole lies in one piece, however many matrices it is.
  if (bytes === whole) return { offset: 0, bytes: bytes * outer, pieces: 1, stride: bytes * outer };
  return { offset: start * inner, bytes, pieces: outer, stride: whole };
}
