/** Questions that wait for an answer: each ends once, by its answer, its deadline, or the end of who was asked. */
import type { Address } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { Problem, problemBody, problemOf } from "#protocol/problem";
import { Runtime } from "#protocol/runtime";
import type { Clock } from "./clock.ts";

type Refusal = ReturnType<(typeof Runtime)["Refused"]>;
const Refused: Refusal["type"] = "Runtime.Refused";

/** The answer of who does not take a question. */
export const refused = (problem: Problem): Refusal => Runtime.Refused({ problem: problemBody(problem) });

/** Questions that may wait for an answer at once. */
const QUESTIONS_MAX = 4096;

/** Of the number before the first question's, in hexadecimal: 28 bits, so that numbers fit in 32 for long. */
const FIRST_DIGITS = 7;

interface Question {
  readonly to: Address;
  readonly type: string;
  readonly timeoutMs: number;
  readonly endsMs: number;
  readonly resolve: (message: AnyMessage) => void;
  readonly reject: (problem: Problem) => void;
}

export class Questions {
  readonly #clock: Clock;
  readonly #open = new Map<number, Question>();
  #last: number;
  /**
   * One timer for all: most questions are answered long before their end, and a timer for each would cost more than its promise. It is
   * left as it is when the question it was set for is answered.
   */
  #timer: { readonly endsMs: number; readonly cancel: () => void } | undefined;
  /** Answers that came after their deadline, or from somebody who was not asked: they are dropped. */
  late = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    // Not from the same number as before a restart: an answer that comes late would be taken for that to another question.
    this.#last = Number.parseInt(clock.freshId().slice(0, FIRST_DIGITS), 16);
  }

  get size(): number {
    return this.#open.size;
  }

  get full(): boolean {
    return this.#open.size >= QUESTIONS_MAX;
  }

  /** The number of the next question, which `open` gives out. */
  get next(): number {
    return this.#last + 1;
  }

  open<R extends AnyMessage>(to: Address, type: string, timeoutMs: number): Promise<R> {
    if (this.full)
      return Promise.reject(new Problem("overloaded", `${QUESTIONS_MAX} questions already wait for answers`));
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    this.#last += 1;
    const id = this.#last;
    const endsMs = this.#clock.nowMs() + timeoutMs;
    const answered = resolve as (message: AnyMessage) => void;
    this.#open.set(id, { to, type, timeoutMs, endsMs, resolve: answered, reject });
    if (this.#timer === undefined || endsMs < this.#timer.endsMs) this.#wakeAt(endsMs, timeoutMs);
    return promise;
  }

  /** False when nobody waits for it any more, or `from` is not who was asked. */
  answer(id: number, from: Address, message: AnyMessage): boolean {
    return this.#end(id, from, ({ resolve, reject }) =>
      message.type === Refused ? reject(problemOf((message as Refusal).problem)) : resolve(message),
    );
  }

  fail(id: number, problem: Problem): void {
    const question = this.#open.get(id);
    if (!question) return;
    this.#open.delete(id);
    question.reject(problem);
  }

  /** Ends every question to an address of which `concerns` says so. */
  failAll(concerns: (to: Address) => boolean, problem: (to: Address) => Problem): void {
    for (const [id, { to }] of this.#open) if (concerns(to)) this.fail(id, problem(to));
  }

  #end(id: number, from: Address, how: (question: Question) => void): boolean {
    const question = this.#open.get(id);
    if (question?.to !== from) {
      this.late += 1;
      return false;
    }
    this.#open.delete(id);
    how(question);
    return true;
  }

  #wakeAt(endsMs: number, inMs: number): void {
    this.#timer?.cancel();
    this.#timer = { endsMs, cancel: this.#clock.after(inMs, () => this.#expire(endsMs)) };
  }

  #expire(dueMs: number): void {
    this.#timer = undefined;
    // A timer may come a little before its time, and what it was set for has ended all the same.
    const now = Math.max(dueMs, this.#clock.nowMs());
    let next = Number.POSITIVE_INFINITY;
    for (const [id, { to, type, timeoutMs, endsMs }] of this.#open) {
      if (endsMs <= now)
        this.fail(id, new Problem("unavailable", `${to} did not answer ${type} within ${timeoutMs} ms`));
      else next = Math.min(next, endsMs);
    }
    if (next < Number.POSITIVE_INFINITY) this.#wakeAt(next, next - now);
  }
}
