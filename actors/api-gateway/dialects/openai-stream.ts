/** What the streams of both OpenAI dialects share: the record around a choice, and how a stream ends. */
import type { Finish, Frame } from "./dialect.ts";
import { timingsOf, usageOf } from "./openai-usage.ts";

interface Shape {
  /** Goes before the choices in every record. */
  readonly head: object;
  /** All choices of the request, and how many of them share one prompt. */
  readonly choices: number;
  readonly perPrompt: number;
  readonly withUsage: boolean;
}

export interface Recorder {
  record(choice: object, more?: object): Frame;
  /** The last record of one choice. */
  finished(index: number, finish: Finish, choice: object): Frame;
  /** What follows when all have finished. */
  end(): readonly Frame[];
}

/** The timings ride in the last record that is an object. */
export function recorder({ head, choices, perPrompt, withUsage }: Shape): Recorder {
  const finishes: Finish[] = [];
  let open = choices;
  const record = (list: readonly object[], more: object = {}): Frame => ({
    ...head,
    choices: list,
    ...(withUsage && { usage: null }),
    ...more,
  });
  return {
    record: (choice, more) => record([choice], more),
    finished(index, finish, choice) {
      finishes[index] = finish;
      open -= 1;
      const last = open === 0 && !withUsage;
      const ending = { index, ...choice, logprobs: null, finish_reason: finish.reason };
      return record([ending], last ? { timings: timingsOf(finishes, perPrompt) } : {});
    },
    end: () => [
      ...(withUsage
        ? [record([], { usage: usageOf(finishes, perPrompt), timings: timingsOf(finishes, perPrompt) })]
        : []),
      "[DONE]",
    ],
  };
}
