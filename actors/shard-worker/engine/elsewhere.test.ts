/**
 * Answers that go on in another worker, whatever was asked there and here before: on a model that notices how each token went
 * through it, as last bits do, what was delivered and what follows are one answer.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import type { Delta, Generation, Resume } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { MANY_TOKENS } from "../models/rows-alike.ts";
import { Engine } from "./engine.ts";
import { fakeModel, letters, VOCABULARY } from "./fake-model.ts";
import type { Limits } from "./limits.ts";

// A hundred pairs of chats take a second alone, and many beside other work.
setDefaultTimeout(60_000);

const REPLAY_ROWS = 4;
/** Up to so many rows are computed as one; many are alike, or where chunks are not: only those of as long a pass. */
const kindOf = (rows: number, chunksAlike: boolean): number =>
  rows <= REPLAY_ROWS ? 1 : chunksAlike && rows >= MANY_TOKENS ? MANY_TOKENS : rows;

const rule = (kept: readonly number[]): number =>
  kept.reduce((state, each) => (state * 31 + each * 7 + 3) % 65_521, 1) % 26;

interface Asked {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly resume?: Resume;
}

function worker(chunksAlike: boolean, limits: Partial<Limits>) {
  const kept = (token: number, rows: number) => token + VOCABULARY * kindOf(rows, chunksAlike);
  let nowMs = 0;
  const onRun = (tokens: number) => {
    nowMs += tokens;
  };
  const { mlx, model, runs } = fakeModel({ next: rule, kept, onRun });
  const engine = new Engine({
    mlx,
    model,
    text: letters,
    clock: { nowMs: () => nowMs },
    limits: { chunksAlike, replayRows: REPLAY_ROWS, prefixBytesMax: 1e9, ...limits },
  });
  let asked = 0;
  const submit = ({ prompt, ...more }: Asked): Delta[] => {
    const heard: Delta[] = [];
    const generation: Generation = {
      id: `r${asked++}` as RequestId,
      model: "m",
      prompt: { type: "text", text: prompt },
      sampling: { temperature: 0 },
      stop: [],
      ignoreEos: true,
      ...more,
    };
    engine.submit(generation, {
      delta: (delta) => heard.push(delta),
      failed: (error) => {
        throw error;
      },
    });
    return heard;
  };
  /** Side by side; all they said. */
  const answers = (all: readonly Asked[]): Delta[][] => {
    const heard = all.map(submit);
    while (engine.step());
    return heard;
  };
  return { answers, runs };
}

const textOf = (deltas: readonly Delta[]): string =>
  deltas.map((delta) => (delta.type === "text" ? delta.text : "")).join("");

/** What a gateway that has these deltas tells the next worker. */
function resumeOf(deltas: readonly Delta[]): Resume {
  const texts = deltas.filter((delta) => delta.type === "text");
  const [first] = texts;
  return {
    tokens: texts.flatMap(({ tokens }) => tokens),
    textLength: textOf(deltas).length,
    ...(first?.strides && { strides: first.strides }),
  };
}

const SYSTEM = "abcdefghijklmnopqrstuvwxyz".repeat(4);
/** Some of these begin alike, for many tokens or few. */
const prompt = fc
  .tuple(fc.nat({ max: 100 }), fc.string({ unit: fc.constantFrom(..."xyz"), minLength: 1, maxLength: 40 }))
  .map(([common, rest]) => SYSTEM.slice(0, common) + rest);
/** Turns of chats side by side: each but the first goes on from the answer before it. */
const rounds = fc.array(
  fc.array(fc.record({ prompt, maxTokens: fc.integer({ min: 1, max: 40 }), goesOn: fc.boolean() }), {
    minLength: 1,
    maxLength: 3,
  }),
  { minLength: 1, maxLength: 4 },
);

/** Has all rounds answered; the last of them. */
function chatted(answers: (all: readonly Asked[]) => Delta[][], all: Round[]) {
  let before: readonly { readonly asked: Asked; readonly heard: readonly Delta[] }[] = [];
  for (const round of all) {
    const asked = round.map(({ prompt: text, maxTokens, goesOn }, i): Asked => {
      const last = goesOn ? before[i] : undefined;
      return { prompt: last ? last.asked.prompt + textOf(last.heard) + text : text, maxTokens };
    });
    const heard = answers(asked);
    before = asked.map((each, i) => ({ asked: each, heard: heard[i] ?? [] }));
  }
  return before;
}
type Round = { readonly prompt: string; readonly maxTokens: number; readonly goesOn: boolean }[];

test.each([true, false])(
  "answers go on elsewhere as if nothing had been (chunks alike: %p)",
  (chunksAlike) => {
    const other = chunksAlike ? { prefillChunk: 40 } : {};
    fc.assert(
      fc.property(rounds, rounds, fc.nat(), (here, there, place) => {
        const first = worker(chunksAlike, {});
        const whole = chatted(first.answers, here);
        const second = worker(chunksAlike, other);
        chatted(second.answers, [...there, ...(place % 2 ? here : [])]);
        const cuts = whole.map(({ heard }) => 2 + (place % (heard.length - 2)));
        const resumed = second.answers(
          whole.map(({ asked, heard }, i) => ({ ...asked, resume: resumeOf(heard.slice(0, cuts[i])) })),
        );
        const again = whole.map(({ heard }, i) => textOf(heard.slice(0, cuts[i])) + textOf(resumed[i] ?? []));
        expect(again).toEqual(whole.map(({ heard }) => textOf(heard)));
      }),
      { numRuns: 100 },
    );
  },
);

test("of a prompt that begins like another no few tokens are computed by themselves", () => {
  const { answers, runs } = worker(true, {});
  const asked = ["xyxyx", "yxyxy"].map((end) => ({ prompt: SYSTEM.slice(0, 35) + end, maxTokens: 1 }));
  for (const each of asked) answers([each]);
  expect(runs).toEqual(["39 hidden", "1 last", `${MANY_TOKENS} hidden`, "1 last"]);
});
