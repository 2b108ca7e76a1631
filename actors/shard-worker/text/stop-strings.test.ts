import { expect, test } from "bun:test";
import fc from "fast-check";
import { StopStrings } from "./stop-strings.ts";

interface Outcome {
  readonly text: string;
  readonly stopped?: string;
}

function run(stops: readonly string[], pieces: readonly string[]): Outcome {
  const matcher = new StopStrings(stops);
  let text = "";
  for (const piece of pieces) {
    const step = matcher.push(piece);
    text += step.text;
    if (step.stopped !== undefined) return { text, stopped: step.stopped };
  }
  return { text: text + matcher.flush() };
}

const cases: readonly [readonly string[], string, Outcome][] = [
  [["END"], "some text END more", { text: "some text ", stopped: "END" }],
  [["END"], "almost EN then the", { text: "almost EN then the" }],
  [["\n\n", "###"], "a\n###", { text: "a\n", stopped: "###" }],
  [["abab", "aba"], "xxababab", { text: "xx", stopped: "aba" }],
  [["bc", "abcd"], "zabcd", { text: "za", stopped: "bc" }],
  [["abc", "bc"], "zabc", { text: "z", stopped: "abc" }],
  [["aab"], "aaaaab", { text: "aaa", stopped: "aab" }],
  [["</s>", "<|im_end|>"], "x <|im_</s>", { text: "x <|im_", stopped: "</s>" }],
  [["😀"], "a😁b😀c", { text: "a😁b", stopped: "😀" }],
  [["x"], "x", { text: "", stopped: "x" }],
  [[""], "text", { text: "text" }],
  [[], "text", { text: "text" }],
];

for (const [stops, text, outcome] of cases) {
  test(`${JSON.stringify(stops)} in ${JSON.stringify(text)}: the same, cut at every place`, () => {
    const units = Array.from({ length: text.length }, (_, at) => text.charAt(at));
    const cuts = units.map((_, at) => run(stops, [text.slice(0, at), text.slice(at)]));
    expect([run(stops, [text]), run(stops, units), ...cuts]).toEqual(
      units.map(() => outcome).concat(outcome, outcome),
    );
  });
}

test("what is given out can never become a stop string, and comes as early as it may", () => {
  const matcher = new StopStrings(["stop"]);
  expect(["s", "t", "a", "st", "o", "x"].map((piece) => matcher.push(piece).text)).toEqual([
    "",
    "",
    "sta",
    "",
    "",
    "stox",
  ]);
});

test("nothing is given out after a stop string", () => {
  const matcher = new StopStrings(["!"]);
  expect([matcher.push("a!b"), matcher.push("c"), matcher.flush()]).toEqual([
    { text: "a", stopped: "!" },
    { text: "" },
    "",
  ]);
});

test("any text in any pieces stops where the plain search says", () => {
  const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1, maxLength: 3 }),
      fc.array(word, { maxLength: 12 }),
      (stops, pieces) => {
        const text = pieces.join("");
        const ends = stops.flatMap((stop) => (text.includes(stop) ? [text.indexOf(stop) + stop.length] : []));
        const end = Math.min(...ends);
        const longest = stops
          .filter((stop) => text.slice(0, end).endsWith(stop))
          .reduce((best, stop) => (stop.length > best.length ? stop : best), "");
        const want =
          ends.length === 0 ? { text } : { text: text.slice(0, end - longest.length), stopped: longest };
        expect(run(stops, pieces)).toEqual(want);
      },
    ),
  );
});

test("stop strings as long as the text take no time to speak of", () => {
  const stop = `${"a".repeat(100_000)}b`;
  const started = performance.now();
  expect(
    run(
      [stop, `${stop}c`],
      Array.from({ length: 1000 }, () => "a".repeat(200)),
    ).text.length,
  ).toBe(200_000);
  expect(performance.now() - started).toBeLessThan(2000);
});
