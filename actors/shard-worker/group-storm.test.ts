/** Requests, cancels and faults by chance, from one seed: an answer is right to the last bit as far as it goes, and nothing is left. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { RequestId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { PassMessage } from "./member.ts";
import { type Carried, memoryGroup } from "./memory-group.ts";
import { asker, type Heard, mlx, OVER, PROMPT, stagesOf, tokensOf, world } from "./tiny-group.ts";

setDefaultTimeout(240_000);

const SEEDS = Number(process.env.SEEDS ?? 8);
const STEPS = 400;
const SPLITS = [[2], [1, 3], [1, 2, 3], [3]];

/** Numbers in [0, 1) from a seed: splitmix32. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let x = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** They begin alike, and none goes on from another's last token: that one was computed alone, and has other last bits. */
const prompts = Array.from({ length: 6 }, (_, i) => [
  ...PROMPT.slice(i % 2, 30 + 9 * i),
  ((PROMPT[30 + 9 * i] ?? 0) + 1) % 26,
  ...PROMPT.slice(0, i).toReversed(),
]);
const asked = (i: number) => ({
  sampling: i % 3 === 0 ? { temperature: 0 } : { seed: i },
  maxTokens: 12 + 7 * i,
});
const wanted = (() => {
  const { ask, run } = world(undefined);
  return prompts.map((prompt, i) => {
    const heard = ask(`r${i}`, prompt, asked(i));
    run();
    return scoresOf([heard]);
  });
})();

/** Tokens with their probabilities, which show any other last bit of what is computed. */
function scoresOf(tries: readonly Heard[][]) {
  const texts = tries.flat().flatMap((each) => ("type" in each && each.type === "text" ? [each] : []));
  return texts.flatMap(({ logprobs = [] }) => logprobs.map(({ id, logprob }) => ({ id, logprob })));
}

/** What a client has of an answer: of each try what it heard, the next of which begins where the one before was lost. */
interface Asked {
  readonly at: number;
  readonly tries: Heard[][];
}

const tokensIn = ({ tries }: Asked): number[] => tries.flatMap(tokensOf);
const textIn = ({ tries }: Asked): number =>
  tries
    .flat()
    .reduce((sum, each) => sum + ("type" in each && each.type === "text" ? each.text.length : 0), 0);
/** How the first that was answered by had computed the prompt, as it says beside its first token. */
function stridesIn({ tries }: Asked) {
  const first = tries.flat().find((each) => "type" in each && each.type === "text");
  return first && "strides" in first && { strides: first.strides };
}
const lastOf = ({ tries }: Asked): Heard | undefined => tries.at(-1)?.at(-1);
/** Its epoch is over: a gateway asks again, for the rest. */
const isLost = (last: Heard | undefined): boolean =>
  last !== undefined && "failed" in last && /^pass \d+ of|came back from|have changed/.test(last.failed);

interface Weather {
  /** The chance of each message to be lost, and to come later than others. */
  readonly lost: number;
  readonly late: number;
  /** The chance of each step that the group is made anew. */
  readonly joins: number;
}

/** The stages of one split through all epochs of a storm. */
class Storm {
  readonly all: Asked[] = [];
  parted = 0;
  epochs = 0;
  readonly #random: () => number;
  readonly #weather: Weather;
  readonly #stages: ReturnType<typeof stagesOf>;
  readonly #late: Carried[] = [];
  /** Passes of this epoch, and of the one before it, by where they were due. */
  #passes = new Map<string, Carried>();
  #stale = new Map<string, Carried>();
  readonly #timers = new Set<() => void>();
  #group: ReturnType<typeof memoryGroup>;

  constructor(seed: number, weather: Weather) {
    this.#random = chance(seed);
    this.#weather = weather;
    const cuts = SPLITS[seed % SPLITS.length] ?? [2];
    const freeBytes = [...cuts, 4].map(() => () => (this.#random() < 0.03 ? 0 : 1e9));
    this.#stages = stagesOf(cuts, { freeBytes, limits: { prefillChunk: 40, activeMax: 5 } });
    this.#group = this.#joined();
  }

  /** A step of the storm: a request, a cancel, something late or another epoch by chance, then one thing of every machine. */
  step(): void {
    const random = this.#random;
    if (random() < 0.1) this.#ask({ at: Math.floor(random() * prompts.length), tries: [] });
    if (random() < 0.02) {
      const at = Math.floor(random() * this.all.length);
      this.#group.engine.cancel(`s${at}-${this.all[at]?.tries.length}` as RequestId);
    }
    const late = random() < 0.3 ? this.#late.shift() : undefined;
    if (late) this.#group.carry(late);
    if (random() < this.#weather.joins) this.#rejoin();
    this.#group.step();
    this.#goOn();
  }

  /** Until every request is over: what is late comes, and patience ends where nothing does. */
  end(): void {
    for (let round = 0; ; round++) {
      if (round > 1000) throw new Error("the storm does not end");
      this.#group.run();
      const late = this.#late.shift();
      if (late) this.#group.carry(late);
      else if (this.#timers.size > 0) for (const timer of [...this.#timers]) timer();
      else if (this.all.every((each) => lastOf(each) && !isLost(lastOf(each)))) break;
      this.#goOn();
    }
    for (const member of this.#group.members) member.leave(OVER);
  }

  #joined(): ReturnType<typeof memoryGroup> {
    const after = (_: number, run: () => void) => {
      this.#timers.add(run);
      return () => void this.#timers.delete(run);
    };
    return memoryGroup(this.#stages, { epoch: ++this.epochs, link: (carried) => this.#link(carried), after });
  }

  /** As a worker's host does it. */
  #rejoin(): void {
    const before = this.#group;
    this.#stale = this.#passes;
    this.#passes = new Map();
    this.#group = this.#joined();
    for (const member of before.members) member.leave(OVER_EPOCH);
  }

  #goOn(): void {
    if (this.#group.parted.length > 0) {
      this.parted++;
      this.#rejoin();
    }
    for (const each of this.all) if (isLost(lastOf(each))) this.#ask(each);
  }

  #ask(each: Asked): void {
    const { at, tries } = each;
    if (tries.length === 0) this.all.push(each);
    const id = `s${this.all.indexOf(each)}-${tries.length + 1}`;
    const tokens = tokensIn(each);
    const resume = tokens.length > 0 && {
      resume: { tokens, textLength: textIn(each), ...stridesIn(each) },
    };
    tries.push(asker(this.#group.engine)(id, prompts[at] ?? [], { ...asked(at), ...resume }));
  }

  #link(carried: Carried): readonly Carried[] {
    const { lost, late, joins } = this.#weather;
    const stale = this.#remembered(carried);
    if (stale && this.#random() < 5 * joins) return [stale, carried];
    const fate = this.#random();
    if (fate < 0.02) return [carried, carried];
    if (fate < 0.02 + lost) return [];
    if (fate > 1 - late) {
      const { body } = carried;
      this.#late.push({ ...carried, body: body?.slice() });
      return [];
    }
    return [this.#spoilt(carried)];
  }

  /** What was due there under the same number in the epoch before. */
  #remembered(carried: Carried): Carried | undefined {
    if (carried.message.type !== "ShardWorker.Pass") return undefined;
    const due = `${carried.to} ${(carried.message as PassMessage).number}`;
    this.#passes.set(due, { ...carried, body: carried.body?.slice() });
    return this.#stale.get(due);
  }

  #spoilt(carried: Carried): Carried {
    if (!carried.body || this.#random() > 0.01) return carried;
    const values = new Float32Array(carried.body.slice().buffer);
    values[Math.floor(this.#random() * values.length)] = Number.POSITIVE_INFINITY;
    return { ...carried, body: new Uint8Array(values.buffer) };
  }
}

const OVER_EPOCH = new Problem("unavailable", "the machines that compute this model have changed: ask again");

function blow(seed: number, weather: Weather) {
  const storm = new Storm(seed, weather);
  const before = mlx.liveHandles();
  for (let step = 0; step < STEPS; step++) storm.step();
  storm.end();
  const ends = storm.all.map((each) => {
    const scores = scoresOf(each.tries);
    const last = lastOf(each);
    const isWhole = last !== undefined && "type" in last && last.type === "finish";
    const all = wanted[each.at];
    const right = Bun.deepEquals(scores, isWhole ? all : all?.slice(0, scores.length));
    return !right ? "wrong" : isWhole ? "whole" : "failed";
  });
  const { parted, epochs } = storm;
  const count = (end: string) => ends.filter((each) => each === end).length;
  const left = mlx.liveHandles() - before;
  return { parted, epochs, left, wrong: count("wrong"), whole: count("whole"), failed: count("failed") };
}

test.each([
  ["that come twice or spoilt", { lost: 0, late: 0, joins: 0 }],
  ["that are lost", { lost: 0.004, late: 0, joins: 0 }],
  ["that come late, in another order or in another epoch", { lost: 0, late: 0.004, joins: 0.01 }],
] satisfies [string, Weather][])(
  `with passes %s no answer is wrong and every one ends (SEEDS=n for more than ${SEEDS})`,
  (_, weather) => {
    const all = Array.from({ length: SEEDS }, (__, seed) => blow(seed, weather));
    const sum = (of: "whole" | "failed" | "parted" | "epochs") => all.reduce((so, each) => so + each[of], 0);
    const isCalm = weather.lost + weather.late === 0;
    expect(all.map(({ wrong, left }) => ({ wrong, left }))).toEqual(all.map(() => ({ wrong: 0, left: 0 })));
    const parted = isCalm ? sum("parted") === 0 : sum("parted") > SEEDS;
    expect([sum("whole") > 10 * SEEDS, sum("failed") > SEEDS, parted]).toEqual([true, true, true]);
  },
);
