/** Parts that set one speed of exo against the same of another: tokens of an answer, or of a prompt. */
import type { SideName } from "../peers-side.ts";
import { type Goal, ratioFigure } from "./figure.ts";
import type { Outcome, Part, Settings } from "./part.ts";
import { inTurns } from "./rounds.ts";
import {
  agreementOf,
  bestSide,
  promptOf,
  type Read,
  seriesOf,
  taskOf,
  tried,
  versionsOf,
  type Work,
  warm,
  withSides,
} from "./sides.ts";
import { decodeMs, prefillMs } from "./timing.ts";

export interface Comparison {
  readonly name: string;
  readonly model: string;
  readonly measure: "decode" | "prefill";
  readonly other: Exclude<SideName, "exo">;
  readonly goal: Goal;
  /** As the table of goals words the model. */
  readonly shown: string;
  /** Tokens of a prompt, and of an answer. */
  readonly prompt: number;
  readonly output: number;
}

/** Room beside prompt and answer, so that no side is at its end. */
const SPARE_TOKENS = 64;
/** What warms up, and for prompts is tried: a part of what is measured later, but not less than a few tokens. */
const SHORT_SHARE = 4;
const SHORT_LEAST = 8;

export const comparison = (wanted: Comparison): Part => ({
  name: wanted.name,
  about: `${wanted.measure} of ${wanted.shown}, exo and ${wanted.other}`,
  run: (settings) => compared(wanted, settings),
});

async function compared(wanted: Comparison, { threads, rounds, log }: Settings): Promise<Outcome> {
  const { model, other, measure, shown, goal, prompt, output } = wanted;
  const context = prompt + output + SPARE_TOKENS;
  return await withSides({ model, sides: ["exo", other], threads, context }, async (all) => {
    const alike = await agreementOf(all);
    const short = shortOf(wanted);
    if (measure === "decode") await warm(all, short);
    const sides = measure === "decode" ? all : await tried(all, short);
    const work = workOf(wanted, `${measure} ${shown}`);
    const tasks = sides.map((side) => taskOf(side, work));
    const taken = await inTurns(tasks, rounds, (round) => log(`round ${round} of ${rounds}`));
    const series = seriesOf(sides, taken, work.what);
    const [exo, theirs] = [bestSide(series, "exo"), bestSide(series, other)];
    return {
      series,
      figures: [ratioFigure(`${measure}, ${shown}, exo / ${other}`, exo, theirs, goal)],
      notes: [`prompt of ${prompt} tokens, answer of ${output}; ${alike}`],
      versions: versionsOf(all),
    };
  });
}

function workOf({ measure, prompt, output }: Comparison, what: string): Work {
  const read: Read = ([answer, ...others], { prompts: [asked = []] }) => {
    if (!answer) throw new Error("no answer");
    return measure === "decode" ? decodeMs([answer, ...others]) : prefillMs(answer, asked.length);
  };
  return { what, ask: (random) => ({ prompts: [promptOf(prompt, random)], output }), read };
}

function shortOf(wanted: Comparison): Work {
  const { measure, prompt, output } = wanted;
  const part = (tokens: number) => Math.min(tokens, Math.max(SHORT_LEAST, Math.ceil(tokens / SHORT_SHARE)));
  const short = measure === "decode" ? { prompt, output: part(output) } : { prompt: part(prompt), output };
  return workOf({ ...wanted, ...short }, "short");
}
