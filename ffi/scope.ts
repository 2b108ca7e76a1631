/**
 * Who frees an array: the scope it was made in, or an outer one that it was kept for. There are no finalizers, because
 * the garbage collector sees small objects where gigabytes hang on them.
 */

/** What a scope owns. `depth` is written here only. */
export interface Owned {
  depth: number;
  /** Frees the C object; calling it again does nothing. */
  dispose(): void;
}

/** The scopes open on the one thread that computes. Depth 0 is outside every scope: what is made there lives until disposed. */
export class Scopes<A extends Owned> {
  /** Made and not yet freed. */
  live = 0;
  private depth = 0;
  private readonly owned: A[][] = [[]];
  private readonly isOwned: (value: unknown) => value is A;

  constructor(isOwned: (value: unknown) => value is A) {
    this.isOwned = isOwned;
  }

  /** Gives a new array to the innermost scope. */
  add(array: A): void {
    const depth = this.depth;
    this.live++;
    array.depth = depth;
    if (depth > 0) this.owned[depth]?.push(array);
  }

  run<T>(work: (keep: <K>(kept: K) => K) => T): T {
    const depth = ++this.depth;
    this.owned[depth] ??= [];
    try {
      const result = work((kept) => this.moveOut(kept, depth));
      if (result instanceof Promise)
        throw new TypeError("a scope frees its arrays when it returns: it cannot be async");
      return this.moveOut(result, depth);
    } finally {
      this.close(depth);
    }
  }

  /** Gives every array inside `value` that belongs to the scope at `depth` to the one around it. */
  private moveOut<K>(value: K, depth: number): K {
    forEachArray(value, this.isOwned, (array) => {
      if (array.depth < depth) return;
      array.depth = depth - 1;
      if (depth > 1) this.owned[depth - 1]?.push(array);
    });
    return value;
  }

  private close(depth: number): void {
    const arrays = this.owned[depth] ?? [];
    for (const array of arrays) if (array.depth === depth) array.dispose();
    arrays.length = 0;
    this.depth = depth - 1;
  }
}

/** Results are arrays, lists and records of them (a packed weight, a cache's state); nothing nests deeper than this. */
const RESULT_DEPTH = 4;

function forEachArray<A>(
  value: unknown,
  is: (value: unknown) => value is A,
  visit: (array: A) => void,
  left = RESULT_DEPTH,
): void {
  if (typeof value !== "object" || value === null) return;
  if (is(value)) {
    visit(value);
    return;
  }
  if (left === 0 || ArrayBuffer.isView(value)) return;
  if (Array.isArray(value)) for (const item of value) forEachArray(item, is, visit, left - 1);
  else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) forEachArray(item, is, visit, left - 1);
  }
}
