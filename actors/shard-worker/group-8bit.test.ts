/** Stages that send hidden state in 8 bits: one text for one seed, however often and at which token they begin anew. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { Carried } from "./memory-group.ts";
import { type Options, OVER, PROMPT, tokensOf, world } from "./tiny-group.ts";

/** Models of several machines take their time on one that does other things too. */
setDefaultTimeout(60_000);

const HIDDEN = { hidden: "8bit" } as const;
const ASKED = { sampling: { seed: 5, presencePenalty: 0.5 }, maxTokens: 20, logprobs: 0 };
const SPLITS: readonly (readonly number[])[] = [[2], [1, 3]];

/** What one request hears, and the bytes of the bodies that were sent for it. */
function answered(cuts: readonly number[], options: Options = {}, group: object = HIDDEN) {
  const bytes: number[] = [];
  const link = (carried: Carried) => {
    if (carried.body) bytes.push(carried.body.length);
    return [carried];
  };
  const { ask, run, members, parted } = world(cuts, options, { ...group, link });
  const heard = ask("whole", PROMPT, ASKED);
  run();
  for (const member of members) member.leave(OVER);
  return { heard, parted, bytes: bytes.reduce((sum, each) => sum + each, 0) };
}

test.each(["float32", "float16", "bfloat16"] as const)(
  "of %s rows the bytes of 8 bits and their scales are sent; where it is off every value crosses as it is",
  (dtype) => {
    const [small, full, alone] = [
      answered([2], { dtype }),
      answered([2], { dtype }, {}),
      world(undefined, { dtype }),
    ];
    const heard = alone.ask("whole", PROMPT, ASKED);
    alone.run();
    // A row of 32 values has one scale and one largest.
    const share = (32 + 6) / (32 * (dtype === "float32" ? 4 : 2));
    expect([small.bytes / full.bytes, tokensOf(small.heard).length, full.heard]).toEqual([share, 20, heard]);
  },
);

test("a prompt says the same in chunks of other lengths, and alone or beside others", () => {
  const wrong = SPLITS.filter((cuts) => {
    const wanted = tokensOf(answered(cuts).heard);
    const chunks = [17, 33].map((prefillChunk) => answered(cuts, { limits: { prefillChunk } }).heard);
    const { ask, run, members } = world(cuts, {}, HIDDEN);
    const beside = Array.from({ length: 3 }, (_, i) => ask(`r${i}`, PROMPT, i === 1 ? ASKED : {}));
    run();
    for (const member of members) member.leave(OVER);
    return ![...chunks, beside[1] ?? []].every((heard) => Bun.deepEquals(tokensOf(heard), wanted));
  });
  expect(wrong).toEqual([]);
});

test("an answer that was cut off at any token goes on with the very next, computed anew in other chunks", () => {
  const wrong = SPLITS.flatMap((cuts) => {
    const { heard } = answered(cuts);
    const wanted = tokensOf(heard);
    const lengths = heard.flatMap((each) => ("type" in each && each.type === "text" ? each.text.length : []));
    return [1, 8, 19].filter((count) => {
      const tokens = wanted.slice(0, count);
      const textLength = lengths.slice(0, count).reduce((sum, length) => sum + length, 0);
      const { ask, run, members } = world(cuts, { limits: { prefillChunk: 24 } }, HIDDEN);
      const rest = ask("rest", PROMPT, { ...ASKED, resume: { tokens, textLength } });
      run();
      for (const member of members) member.leave(OVER);
      return !Bun.deepEquals([...tokens, ...tokensOf(rest)], wanted);
    });
  });
  expect(wrong).toEqual([]);
});
