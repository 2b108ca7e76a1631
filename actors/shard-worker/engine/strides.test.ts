/** The short form of how tokens went through a model against the long one: a list of passes. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { MANY_TOKENS } from "../models/rows-alike.ts";
import { Strides } from "./strides.ts";

const pass = fc.oneof(
  fc.constant(1),
  fc.integer({ min: 2, max: MANY_TOKENS - 1 }),
  fc.integer({ min: MANY_TOKENS, max: 40 }),
);
const passes = fc.array(pass, { maxLength: 12 });

function stridesOf(list: readonly number[]): Strides {
  const strides = new Strides();
  for (const rows of list) strides.add(rows);
  return strides;
}

/** Of each token: the rows of its pass, and its place among them. */
const long = (list: readonly number[]) =>
  list.flatMap((rows) => Array.from({ length: rows }, (_, place) => ({ rows, place })));
/** Passes of the strides, one by one. */
const written = (strides: Strides): number[] =>
  strides.list.flatMap(({ rows, times }) => Array.from({ length: times }, () => rows));

const kindOf = (rows: number) => (rows === 1 ? "single" : rows < MANY_TOKENS ? "few" : "many");

test("what is noted is every pass, and of what is cut all that is before", () => {
  fc.assert(
    fc.property(passes, fc.nat(), (list, place) => {
      const strides = stridesOf(list);
      const length = place % (strides.length + 1);
      const cut = strides.first(length);
      const isWhole = (long(list)[length]?.place ?? 0) === 0;
      expect([written(strides), cut.length, isWhole ? written(cut) : []]).toEqual([
        list,
        length,
        isWhole ? list.slice(0, written(cut).length) : [],
      ]);
    }),
  );
});

test("what goes on from a token is its pass, and how far passes of its kind follow", () => {
  fc.assert(
    fc.property(passes, fc.nat(), (list, place) => {
      const all = long(list);
      const position = place % (all.length + 1);
      const found = all[position];
      const kind = kindOf(found?.rows ?? 0);
      const other = all.findIndex(({ rows }, at) => at > position && kindOf(rows) !== kind);
      const end = found && position + found.rows - found.place;
      const until = found && kind === "few" ? end : other < 0 ? all.length : other;
      expect(stridesOf(list).at(position)).toEqual(
        found && { rows: found.rows - found.place, isSingle: found.rows === 1, until: until ?? 0 },
      );
    }),
  );
});

test("where they may be cut, each token before goes as it went when these go once more", () => {
  fc.assert(
    fc.property(passes, fc.nat(), fc.boolean(), (list, place, chunksAlike) => {
      const strides = stridesOf(list);
      const position = place % (strides.length + 1);
      const at = strides.cutAt(position, chunksAlike);
      const kinds = (all: readonly number[]) =>
        long(all).map(({ rows }) => (chunksAlike && rows >= MANY_TOKENS ? MANY_TOKENS : rows));
      expect([at <= position, kinds(written(strides.first(at)))]).toEqual([true, kinds(list).slice(0, at)]);
    }),
  );
});

test.each([
  [[40, 1, 1, 1], [20, 20, 1, 1], true, 42],
  [[40, 1, 1, 1], [20, 20, 1, 1], false, 0],
  [[40, 40, 1], [40, 40, 1], false, 81],
  [[60, 1], [40, 1], true, 40],
  [[40, 9, 1], [40, 8, 1], true, 40],
  [[40, 9, 30], [40, 9, 20], true, 69],
  [[9], [9, 1], true, 9],
  [[1, 1], [2], true, 0],
] as const)("%p and %p have in common (chunks alike: %p) %d tokens", (mine, theirs, chunksAlike, count) => {
  expect(stridesOf(mine).inCommon(stridesOf(theirs), chunksAlike)).toBe(count);
});
