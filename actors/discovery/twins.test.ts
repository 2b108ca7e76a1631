import { expect, test } from "bun:test";
import { Twins, type Verdict } from "./twins.ts";

type Meeting = readonly [atMs: number, boot: string, linked?: { boot: string; silenceMs: number }];

const verdicts = (...meetings: readonly Meeting[]): readonly Verdict[] => {
  const twins = new Twins();
  return meetings.map(([atMs, boot, linked]) => twins.meet(boot, linked, atMs));
};

test("a machine that began anew is let in once the start before is silent", () => {
  expect(
    verdicts(
      [0, "1"],
      [5000, "2", { boot: "1", silenceMs: 100 }],
      [5500, "2", { boot: "1", silenceMs: 600 }],
      [6500, "2", { boot: "1", silenceMs: 1600 }],
      [9000, "2", { boot: "2", silenceMs: 100 }],
    ),
  ).toEqual(["take", "later", "later", "take", "take"]);
});

test("two starts that both are heard are a copy: neither is let in until one was away for a minute", () => {
  const heard = { boot: "1", silenceMs: 100 };
  expect(
    verdicts(
      [0, "2", heard],
      [1000, "2", heard],
      [2000, "2", heard],
      [2500, "1"],
      [4000, "2"],
      [30_000, "1"],
      [60_000, "1"],
      [64_000, "1"],
      [64_500, "1"],
    ),
  ).toEqual(["later", "later", "copied", "copied", "copied", "copied", "copied", "copied", "take"]);
});

test("however many starts a hostile member invents, few are remembered", () => {
  const heard = { boot: "1", silenceMs: 0 };
  const many = Array.from({ length: 1000 }, (_, i): Meeting => [i, `b${i}`, heard]);
  expect(new Set(verdicts(...many))).toEqual(new Set(["later"]));
});
