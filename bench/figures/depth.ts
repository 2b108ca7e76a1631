/** Decoding after a long context against decoding after a short one. */
import type { KvQuant } from "#protocol/shard";
import type { SideName } from "../peers-side.ts";
import { type Goal, ratioFigure } from "./figure.ts";
import type { Outcome, Part, Settings } from "./part.ts";
import { inTurns } from "./rounds.ts";
import { bestSide, promptOf, seriesOf, taskOf, versionsOf, type Work, warm, withSides } from "./sides.ts";
import { decodeMs } from "./timing.ts";

/** Tokens of context when the last token of an answer is computed, and before the first. */
const [DEEP, SHALLOW] = [8192, 64];
const ANSWER = 48;
/** A model of just that context length must not reach its end. */
const SPARE_TOKENS = 16;
const SIDES: readonly SideName[] = ["exo", "llama.cpp"];

export interface Depth {
  readonly name: string;
  readonly model: string;
  readonly shown: string;
  readonly goal: Goal;
  /** How exo keeps keys and values at both depths, and then alone; absent: in f16, as llama.cpp does. */
  readonly kvQuant?: KvQuant;
}

export const depth = (wanted: Depth): Part => ({
  name: wanted.name,
  about: `decode of ${wanted.shown} at ${DEEP} tokens of context and at ${SHALLOW}, ${wanted.kvQuant ? `exo with a cache of ${wanted.kvQuant}` : "exo and llama.cpp"}`,
  run: (settings) => compared(wanted, settings),
});

/** The long context is computed once; what is measured goes on from it, round after round. */
async function compared(wanted: Depth, { threads, rounds, log }: Settings): Promise<Outcome> {
  const { model, goal, kvQuant } = wanted;
  const sides = kvQuant ? (["exo"] as const) : SIDES;
  const shown = kvQuant ? `${wanted.shown}, cache in ${kvQuant}` : wanted.shown;
  const common = { model, context: DEEP, streams: 1, sides, ...(kvQuant && { kvQuant }) };
  const deepWork = decodeAfter(DEEP - ANSWER - SPARE_TOKENS, `decode ${shown} at ${DEEP}`);
  const shallowWork = decodeAfter(SHALLOW, `decode ${shown} at ${SHALLOW}`);
  return await withSides({ ...common, threads }, async (all) => {
    await warm(all, shallowWork);
    // So much attention is worth every thread there is, and with fewer the long context alone would take minutes.
    return await withSides({ ...common, threads: [Math.max(...threads)] }, async (deep) => {
      for (const side of deep) {
        log(`${side.name} computes ${DEEP} tokens with ${side.threads} threads`);
        await taskOf(side, deepWork).measure();
      }
      const tasks = [
        ...deep.map((side) => taskOf(side, deepWork)),
        ...all.map((side) => taskOf(side, shallowWork)),
      ];
      const taken = await inTurns(tasks, rounds, (round) => log(`round ${round} of ${rounds}`));
      const far = seriesOf(deep, taken, deepWork.what);
      const near = seriesOf(all, taken, shallowWork.what);
      const figure = (side: SideName, own?: Goal) =>
        ratioFigure(
          `decode at ${DEEP} / at ${SHALLOW}, ${shown}, ${side}`,
          bestSide(far, side),
          bestSide(near, side),
          own,
        );
      const against = () => [
        figure("llama.cpp"),
        ratioFigure(
          `decode at ${DEEP}, ${shown}, exo / llama.cpp`,
          bestSide(far, "exo"),
          bestSide(far, "llama.cpp"),
        ),
      ];
      return {
        series: [...far, ...near],
        figures: [figure("exo", goal), ...(kvQuant ? [] : against())],
        notes: [
          `answers of ${ANSWER} tokens; the long context is computed once and gone on from, with every thread`,
        ],
        versions: versionsOf(all),
      };
    });
  });
}

/** The same prompt each time, of which only the last token is computed again. */
function decodeAfter(tokens: number, what: string): Work {
  let prompt: readonly number[] | undefined;
  return {
    what,
    ask: (random) => {
      prompt ??= promptOf(tokens, random);
      return { prompts: [prompt], output: ANSWER, reuse: true };
    },
    read: decodeMs,
  };
}
