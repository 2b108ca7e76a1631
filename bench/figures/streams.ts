/** Several answers at once: what they get together, as a multiple of what one gets alone. */
import type { Side, SideName } from "../peers-side.ts";
import { type Goal, ratioFigure } from "./figure.ts";
import type { Outcome, Part, Settings } from "./part.ts";
import { inTurns } from "./rounds.ts";
import { bestSide, promptOf, seriesOf, taskOf, versionsOf, type Work, warm, withSides } from "./sides.ts";
import { decodeMs } from "./timing.ts";

const STREAMS = 4;
const PROMPT = 32;
const WARMING_ANSWER = 8;
const SPARE_TOKENS = 64;
const SIDES: readonly SideName[] = ["exo", "llama.cpp"];

export interface Batch {
  readonly name: string;
  readonly model: string;
  readonly shown: string;
  /** Tokens of each stream. */
  readonly answer: number;
  readonly goal: Goal;
}

export const batch = (wanted: Batch): Part => ({
  name: wanted.name,
  about: `decode of ${STREAMS} streams of ${wanted.shown} together and of one alone, exo and llama.cpp`,
  run: (settings) => compared(wanted, settings),
});

async function compared(
  { model, shown, answer, goal }: Batch,
  { threads, rounds, log }: Settings,
): Promise<Outcome> {
  const context = PROMPT + answer + SPARE_TOKENS;
  const together = streamsOf(STREAMS, `decode ${shown}, ${STREAMS} streams`, answer);
  const alone = streamsOf(1, `decode ${shown}, 1 stream`, answer);
  return await withSides({ model, sides: SIDES, threads, context, streams: STREAMS }, async (all) => {
    await warm(all, streamsOf(STREAMS, "warm", WARMING_ANSWER));
    const tasks = [
      ...all.map((side: Side) => taskOf(side, together)),
      ...all.map((side: Side) => taskOf(side, alone)),
    ];
    const taken = await inTurns(tasks, rounds, (round) => log(`round ${round} of ${rounds}`));
    const [total, single] = [seriesOf(all, taken, together.what), seriesOf(all, taken, alone.what)];
    const figure = (side: SideName, own?: Goal) =>
      ratioFigure(
        `${STREAMS} streams, total / one stream, ${shown}, ${side}`,
        bestSide(total, side),
        bestSide(single, side),
        own,
      );
    const against = `${STREAMS} streams, total, ${shown}, exo / llama.cpp`;
    return {
      series: [...total, ...single],
      figures: [
        figure("exo", goal),
        figure("llama.cpp"),
        ratioFigure(against, bestSide(total, "exo"), bestSide(total, "llama.cpp")),
      ],
      notes: [`prompts of ${PROMPT} tokens, answers of ${answer}; timed while all streams answer`],
      versions: versionsOf(all),
    };
  });
}

function streamsOf(streams: number, what: string, output: number): Work {
  return {
    what,
    ask: (random) => ({
      prompts: Array.from({ length: streams }, () => promptOf(PROMPT, random)),
      output,
    }),
    read: decodeMs,
  };
}
