/** Memory for the integer lists that C reads during one call: shapes, axes, slices, lists of handles. */

/** MLX itself allows more, no model here does; a longer list is an error before it is an overrun. */
const MOST_AXES = 16;
/** A concat or eval of more arrays than this gets memory of its own. */
const COMMON_HANDLES = 256;

const TWO_TO_32 = 4_294_967_296;

export class Words {
  private readonly lists = [
    new Int32Array(MOST_AXES),
    new Int32Array(MOST_AXES),
    new Int32Array(MOST_AXES),
  ] as const;
  private readonly addresses = new Uint32Array(2 * COMMON_HANDLES);

  /** Valid until the next `first`. */
  first(values: readonly number[]): Int32Array {
    return filled(this.lists[0], values);
  }
  second(values: readonly number[]): Int32Array {
    return filled(this.lists[1], values);
  }
  /** `count` ones: the strides of a plain slice. */
  ones(count: number): Int32Array {
    const list = this.lists[2];
    if (list[count - 1] !== 1) list.fill(1);
    return list;
  }
  /** Handles as C lays them out, null for what is not there; valid until the next call. */
  handles(arrays: readonly ({ readonly handle: number } | undefined)[]): Uint32Array {
    const room = arrays.length <= COMMON_HANDLES ? this.addresses : new Uint32Array(2 * arrays.length);
    for (let i = 0; i < arrays.length; i++) {
      const handle = arrays[i]?.handle ?? 0;
      room[2 * i] = handle % TWO_TO_32;
      room[2 * i + 1] = Math.floor(handle / TWO_TO_32);
    }
    return room;
  }
}

function filled(list: Int32Array, values: readonly number[]): Int32Array {
  if (values.length > MOST_AXES)
    throw new RangeError(`an array cannot have ${values.length} axes here, at most ${MOST_AXES}`);
  for (let i = 0; i < values.length; i++) list[i] = values[i] ?? 0;
  return list;
}
