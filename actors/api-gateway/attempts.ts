/** The workers that one request was given to: whether another may have it, and what is said when none may. */
import type { ProblemBody } from "#protocol/problem";
import { cutOff, poisonous } from "./endings.ts";

/** Workers that one request is given to. */
const ATTEMPTS_MAX = 3;
/** Workers that may die of one token before the request is blamed for it. */
const CRASHES_MAX = 2;
/** A worker is asked for again and again for so long: a dead machine is noticed, another leads and plans well within. */
const SEEK_MS = 60_000;
const REST_MS_FIRST = 100;
const REST_MS_MAX = 2_000;
/** Refusals that may be over in a moment. */
const PASSING: ReadonlySet<string> = new Set(["unavailable", "overloaded", "network"]);

export class Attempts {
  readonly #nowMs: () => number;
  #count = 0;
  /** Workers that died at one token, one after the other. */
  #crashes = 0;
  #crashedAt = -1;
  #seekUntilMs: number | undefined;
  #restMs = REST_MS_FIRST;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get count(): number {
    return this.#count;
  }

  /** A worker was given the request. */
  taken(): void {
    this.#count += 1;
  }

  /** It has begun: what goes wrong now is another trouble than the one before. */
  begun(): void {
    this.#seekUntilMs = undefined;
    this.#restMs = REST_MS_FIRST;
  }

  /** From now on another is looked for. */
  lost(): void {
    this.#seekUntilMs ??= this.#nowMs() + SEEK_MS;
  }

  /** A worker that had it is no more: the search for another begins now. */
  gone(): void {
    this.#seekUntilMs = undefined;
  }

  /** A worker died by itself when so many tokens were there, which may be the request's fault if it had begun. */
  crashed(tokens: number, hadBegun: boolean): void {
    if (!hadBegun) return;
    this.#crashes = this.#crashedAt === tokens ? this.#crashes + 1 : 1;
    this.#crashedAt = tokens;
  }

  /** It had too much to do to look at the request: that was no attempt. */
  notTaken(): void {
    this.#count -= 1;
  }

  /** Whether somebody who could take the request is still looked for. */
  maySeek(): boolean {
    return this.#seekUntilMs !== undefined && this.#nowMs() < this.#seekUntilMs;
  }

  mayAskAgain({ kind }: Pick<ProblemBody, "kind">): boolean {
    return PASSING.has(kind) && this.maySeek();
  }

  mayResume(): boolean {
    return this.#count < ATTEMPTS_MAX && this.#crashes < CRASHES_MAX;
  }

  /** Until it is asked for again. */
  restMs(): number {
    const ms = this.#restMs;
    this.#restMs = Math.min(2 * ms, REST_MS_MAX);
    return ms;
  }

  /** Why there is no other, of an answer of so many tokens. */
  ended(problem: ProblemBody, tokens: number): ProblemBody {
    if (this.#crashes >= CRASHES_MAX) return poisonous(problem, tokens);
    return this.#count === 0 ? problem : cutOff(problem, tokens, this.#count);
  }
}
