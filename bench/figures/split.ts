/** One model on two machines of one core each, over loopback: exo against llama.cpp's RPC with the same layers on each. */
import { type Random, randomOf } from "#actors/supervisor/bench/random";
import { modelFile } from "../models.ts";
import { exoSides } from "../split/exo.ts";
import { llamaSides } from "../split/llama.ts";
import type { SplitSide, Strategy } from "../split/side.ts";
import { bestOf, type Goal, ratioFigure, type Series } from "./figure.ts";
import type { Outcome, Part, Settings } from "./part.ts";
import { inTurns, type Taken, type Task } from "./rounds.ts";
import { promptOf } from "./sides.ts";
import { decodeMs, prefillMs } from "./timing.ts";

export interface Split {
  readonly name: string;
  readonly model: string;
  readonly shown: string;
  readonly measure: "decode" | "prefill";
  /** Tokens of a prompt, and of an answer. */
  readonly prompt: number;
  readonly output: number;
  /** Ranks need heads that they can share: SmolLM2's nine cannot be. */
  readonly strategies: readonly Strategy[];
  readonly goal: Goal;
}

const SPARE_TOKENS = 64;
/** What warms up and is tried, as a share of what is measured, and the fewest tokens of it. */
const [TRIED_SHARE, TRIED_LEAST] = [4, 8];
const TRIAL_ROUNDS = 1;
/** Settings slower in the trial than the fastest of their side by more than this will not become the best. */
const TRIAL_SLACK = 1.05;

export const split = (wanted: Split): Part => ({
  name: wanted.name,
  about: `${wanted.measure} of ${wanted.shown} on two machines of one core, exo and llama.cpp RPC`,
  grandchildren: true,
  run: (settings) => compared(wanted, settings),
});

async function compared(wanted: Split, { rounds, log }: Settings): Promise<Outcome> {
  const { model, shown, measure, prompt, output, strategies, goal } = wanted;
  const path = await modelFile(model);
  await using stack = new AsyncDisposableStack();
  const exo = await exoSides(stack, path, strategies);
  const llama = await llamaSides(stack, path, prompt + output + SPARE_TOKENS, exo, strategies);
  const all = [...exo.sides, ...llama];
  const alike = await agreementOf(all);
  const sides = await tried(all, wanted);
  const taken = await inTurns(tasksOf(sides, wanted, measure), rounds, (round) =>
    log(`round ${round} of ${rounds}`),
  );
  const series = sides.map((side) => seriesOf(side, taken, wanted));
  const best = (of: SplitSide["of"], isSame = false) =>
    bestOf(series.filter((_, at) => sides[at]?.of === of && (sides[at].isSameSplit || !isSame)));
  const told = `${measure} on two machines, ${shown}`;
  return {
    series,
    figures: [
      ratioFigure(
        `${told}, the same layers on each, exo / llama.cpp RPC`,
        best("exo", true),
        best("llama.cpp RPC", true),
        goal,
      ),
      ratioFigure(`${told}, each at its best, exo / llama.cpp RPC`, best("exo"), best("llama.cpp RPC"), goal),
    ],
    notes: [
      `prompt of ${prompt} tokens, answer of ${output}; layers ${exo.cut} and ${exo.layers - exo.cut} with the head; ` +
        `exo over its API, llama.cpp without one; ${alike}`,
    ],
    versions: Object.fromEntries(llama.map(({ of: side, version }) => [side, version])),
  };
}

const taskName = ({ of, setting }: SplitSide, what: string): string => `${of} ${setting} ${what}`;

/** Every side is asked the same in the same round, drawn anew for each round. */
function tasksOf(
  sides: readonly SplitSide[],
  { measure, prompt, output }: Pick<Split, "measure" | "prompt" | "output">,
  what: string,
): readonly Task[] {
  return sides.map((side) => {
    const random: Random = randomOf(1, what);
    const measured = async () => {
      const [answer] = await side.run({ prompts: [promptOf(prompt, random)], output });
      if (!answer) throw new Error("no answer");
      return measure === "decode" ? decodeMs([answer]) : prefillMs(answer, prompt);
    };
    return { name: taskName(side, what), measure: measured };
  });
}

/** Warms the sides up, and leaves out settings of llama.cpp that are slower than its best. exo's two are both told. */
async function tried(sides: readonly SplitSide[], wanted: Split): Promise<readonly SplitSide[]> {
  const part = (tokens: number) => Math.min(tokens, Math.max(TRIED_LEAST, Math.ceil(tokens / TRIED_SHARE)));
  const short =
    wanted.measure === "decode"
      ? { ...wanted, output: part(wanted.output) }
      : { ...wanted, prompt: part(wanted.prompt) };
  const taken = await inTurns(tasksOf(sides, short, "trial"), TRIAL_ROUNDS);
  const best = (side: SplitSide) => Math.min(...(taken.get(taskName(side, "trial")) ?? []));
  const fastest = (isSame: boolean) =>
    Math.min(...sides.filter(({ of, isSameSplit }) => of !== "exo" && isSameSplit === isSame).map(best));
  const [same, own] = [fastest(true), fastest(false)];
  const isClose = (side: SplitSide) =>
    best(side) <= TRIAL_SLACK * (side.isSameSplit ? same : Math.min(same, own));
  return sides.filter((side) => side.of === "exo" || isClose(side));
}

function seriesOf(side: SplitSide, taken: Taken, { measure, shown }: Split): Series {
  const ms = taken.get(taskName(side, measure)) ?? [];
  return {
    of: `${side.of} ${side.setting}, ${measure} ${shown} on two machines`,
    unit: "tok/s",
    values: ms.map((each) => 1000 / each),
  };
}

const [CHECKED_PROMPT, CHECKED_TOKENS] = [12, 8];

/** Whether all hold the same model: arithmetic differs, so a few of the first greedy tokens are enough. */
async function agreementOf(sides: readonly SplitSide[]): Promise<string> {
  const run = { prompts: [promptOf(CHECKED_PROMPT, randomOf(1, "agreement"))], output: CHECKED_TOKENS };
  const answers: (readonly number[])[] = [];
  for (const side of sides) answers.push((await side.run(run))[0]?.ids ?? []);
  const [own = []] = answers;
  const alike = answers.slice(1).map((ids) => {
    const differs = ids.findIndex((id, at) => id !== own[at]);
    return differs < 0 ? ids.length : differs;
  });
  return `of ${CHECKED_TOKENS} greedy tokens the first ${Math.min(...alike)} or more are the same on all`;
}
