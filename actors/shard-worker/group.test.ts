/** One model over several stages must say what it says on one machine, to the bit, whatever happens in between. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { RequestId } from "#protocol/ids";
import { type Heard, mlx, type Options, OVER, PROMPT, tokensOf, world } from "./tiny-group.ts";

/** Models of several machines take their time on one that does other things too. */
setDefaultTimeout(60_000);

const SPLITS: readonly (readonly number[])[] = [[1], [2], [3], [1, 2], [1, 3], [2, 3], [1, 2, 3]];
const GREEDY = { sampling: { temperature: 0 } };

/** Several requests, one after the other and at once, with every sampler and with scores. */
function conversation({ ask, run }: ReturnType<typeof world>): readonly (readonly Heard[])[] {
  const first = ask("first", PROMPT);
  run();
  const together = [
    ask("again", PROMPT, GREEDY),
    ask("other", PROMPT.toReversed(), { sampling: { seed: 3, topP: 0.9, repetitionPenalty: 1.2 } }),
    ask("short", [5]),
    ask("scored", PROMPT.slice(0, 70), { promptLogprobs: true, maxTokens: 3 }),
    ask("none", PROMPT.slice(9), { maxTokens: 0 }),
  ];
  run();
  // By itself: how much it finds computed must not depend on who else is how far.
  const turn = ask("turn", [...PROMPT, 4, 8, 15, 16, 23], GREEDY);
  run();
  return [first, ...together, turn];
}

/** Cached tokens depend on who ran when. */
const said = (all: readonly (readonly Heard[])[]) =>
  all.map((heard) =>
    heard.map((each) =>
      "type" in each && each.type === "finish"
        ? { reason: each.reason, tokens: each.usage.completionTokens }
        : each,
    ),
  );

test.each([
  ["full attention", {}],
  ["a sliding window", { window: 16 }],
  ["float16", { dtype: "float16" }],
  ["bfloat16", { dtype: "bfloat16" }],
  ["chunks of seven tokens", { limits: { prefillChunk: 7 } }],
  ["a sliding window in chunks of seven", { window: 16, limits: { prefillChunk: 7 } }],
] satisfies [string, Options][])(
  "with %s every split says what one machine says, to the bit",
  (_, options) => {
    const alone = world(undefined, options);
    const wanted = said(conversation(alone));
    alone.engine.release();
    const wrong = SPLITS.filter((cuts) => {
      const group = world(cuts, options);
      const got = said(conversation(group));
      for (const member of group.members) member.leave(OVER);
      return group.parted.length > 0 || !Bun.deepEquals(got, wanted);
    });
    expect([wanted.map((heard) => heard.length), wrong]).toEqual([[26, 26, 26, 26, 5, 2, 26], []]);
  },
);

/** As `conversation`, but each goes when it may: only the tokens are compared, as bits depend on where chunks end. */
function crowd({ ask, step, run, engine }: ReturnType<typeof world>): readonly (readonly Heard[])[] {
  const heard = Array.from({ length: 12 }, (_, i) => {
    const all = ask(`r${i}`, PROMPT.slice(i % 3, 40 + 4 * i), {
      sampling: { seed: i },
      maxTokens: 5 + 2 * i,
    });
    for (let steps = 0; steps < 3; steps++) step();
    if (i % 4 === 3) engine.cancel(`r${i - 1}` as RequestId);
    return all;
  });
  run();
  return heard;
}

test("requests that come, go and are cancelled at any time say what they say on one machine", () => {
  const wanted = crowd(world(undefined)).map(tokensOf);
  const left: number[] = [];
  const wrong = SPLITS.filter((cuts) => {
    const group = world(cuts, { limits: { prefillChunk: 16 } });
    const handles = mlx.liveHandles();
    const got = crowd(group);
    const ends = group.members.map(({ idle }) => idle);
    for (const member of group.members) member.leave(OVER);
    left.push(mlx.liveHandles() - handles);
    return !got.every((heard, i) => {
      const last = heard.at(-1);
      const isCancelled = last !== undefined && "failed" in last;
      const tokens = tokensOf(heard);
      const same = Bun.deepEquals(tokens, isCancelled ? wanted[i]?.slice(0, tokens.length) : wanted[i]);
      return same && ends.every(Boolean);
    });
  });
  expect({ wrong, left }).toEqual({ wrong: [], left: SPLITS.map(() => 0) });
});

test("what is kept for requests to come counts with the memory of all machines, wherever most layers are", () => {
  const bytes = [undefined, ...SPLITS].map((cuts) => {
    const { ask, run, engine, members } = world(cuts);
    ask("first", PROMPT);
    run();
    const { prefixBytes } = engine.load;
    for (const member of members) member.leave(OVER);
    return prefixBytes;
  });
  expect([(bytes[0] ?? 0) > 0, new Set(bytes).size]).toEqual([true, 1]);
});

test.each([
  ["the beginning of an answer that is kept", () => PROMPT],
  ["less each time", (i: number) => Array.from({ length: 1300 - i }, (_, at) => (at * 7) % 26)],
] satisfies [string, (i: number) => number[]][])(
  "1,100 requests for nothing but a prompt that is known (%s) leave a pass for the next that can be sent",
  (_, prompt) => {
    const group = world([2]);
    group.ask("kept", prompt(0), { maxTokens: 100 });
    group.run();
    const ends = Array.from({ length: 1100 }, (__, i) => {
      const heard = group.ask(`r${i}`, prompt(i), { maxTokens: 0 });
      group.run();
      return heard.length;
    });
    const next = group.ask("next", [...PROMPT, 3], { maxTokens: 4 });
    group.run();
    for (const member of group.members) member.leave(OVER);
    expect([new Set(ends), tokensOf(next).length, group.parted]).toEqual([new Set([2]), 4, []]);
  },
);

test("an answer that one split began goes on in another, and on one machine", () => {
  const asked = { sampling: { seed: 5, presencePenalty: 0.5 }, maxTokens: 20, logprobs: 0 };
  const alone = world(undefined);
  const whole = alone.ask("whole", PROMPT, asked);
  alone.run();
  const wanted = tokensOf(whole);
  const rests = [undefined, ...SPLITS].map((cuts, i) => {
    const { ask, run } = world(cuts);
    const tokens = wanted.slice(0, 3 + 2 * i);
    const delivered = whole.flatMap((each) =>
      "type" in each && each.type === "text" ? each.text.length : [],
    );
    const textLength = delivered.slice(0, tokens.length).reduce((sum, length) => sum + length, 0);
    const rest = ask("rest", PROMPT, { ...asked, resume: { tokens, textLength } });
    run();
    return [...tokens, ...tokensOf(rest)];
  });
  expect(rests.filter((tokens) => !Bun.deepEquals(tokens, wanted))).toEqual([]);
});
