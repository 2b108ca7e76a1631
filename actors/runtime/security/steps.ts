/**
 * Pieces of cryptography that need large packages, each by its own words alone, so that any process can do any of them: nothing is
 * kept between two. Words and answers are strings.
 */
import { Problem } from "#protocol/problem";
import type { BoxStep } from "./box-steps.ts";
import type { CertificateStep } from "./certificate-steps.ts";
import type { PakeStep } from "./pake-steps.ts";
import type { SuccessionStep } from "./succession-steps.ts";

export type Step = PakeStep | CertificateStep | BoxStep | SuccessionStep;

/** `fault`: what the other side said cannot be understood. No values: what was asked for there cannot be. */
export type Done = { readonly values?: readonly string[] } | { readonly fault: string };

export type Steps = (step: Step, words: readonly string[]) => Promise<Done>;

/** A program starts and does a step within a quarter of a second; on a machine with eighty times too much to do in time all the same. */
export const STEP_MS = 20_000;
/** For who waits for another machine that has to do one first: longer, so that its answer is heard, also that it could not. */
export const STEP_ANSWER_MS = STEP_MS + 5000;

/** One kind of steps, as its module does them. */
export type StepsOf<Name extends string> = Record<Name, (words: readonly string[]) => Done | Promise<Done>>;

/** Steps that are under way here: other threads do some of them, and who counts time by itself waits for these. */
export const underWay = new Set<Promise<Done>>();

/** In this process, which keeps some megabytes for each package from the first step on that needs it. */
export const stepHere: Steps = (step, words) => {
  const done = doneHere(step, words);
  underWay.add(done);
  const end = () => void underWay.delete(done);
  done.then(end, end);
  return done;
};

const doneHere: Steps = async (step, words) => {
  switch (step) {
    case "certifyCluster":
    case "certifyNode":
    case "certifyOnce":
    case "certifyServer":
    case "found":
      return await (await import("./certificate-steps.ts")).certificateSteps[step](words);
    case "seal":
      return await (await import("./box-steps.ts")).boxSteps[step](words);
    case "succeed":
      return await (await import("./succession-steps.ts")).successionSteps[step](words);
    default:
      return await (await (await import("./pake-steps.ts")).pakeSteps())[step](words);
  }
};

/** What a step gives that has an answer for all its words. */
export async function valuesBy(
  steps: Steps,
  step: Step,
  words: readonly string[],
): Promise<readonly string[]> {
  const done = await steps(step, words);
  if ("values" in done && done.values) return done.values;
  throw new Problem("internal", `${step} gave nothing${"fault" in done ? `: ${done.fault}` : ""}`);
}
