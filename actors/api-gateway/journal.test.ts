import { expect, test } from "bun:test";
import { Journal } from "./journal.ts";
import { asked, started, word } from "./test/house.ts";

test("the next worker is told how the first had computed the prompt, and goes on so whatever others say", () => {
  const journal = new Journal(() => 0);
  const strides = (rows: number) => [{ rows, times: 2 }];
  const told = [[], ...[40, 30].map((rows, i) => [{ ...word("a", i), strides: strides(rows) }])].map(
    (deltas) => {
      journal.opened();
      for (const delta of [started, ...deltas]) journal.note(delta);
      journal.lost();
      return journal.resumed(asked()).resume;
    },
  );
  expect(told).toEqual([
    { tokens: [], textLength: 0 },
    { tokens: [100], textLength: 1, strides: strides(40) },
    { tokens: [100, 101], textLength: 2, strides: strides(40) },
  ]);
});
