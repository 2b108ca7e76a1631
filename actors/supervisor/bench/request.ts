/** Sends one request and times what comes back. */
import type { Clock } from "#actors/runtime/clock";
import type { TargetAbilities } from "./abilities.ts";
import {
  type Answered,
  bodyOf,
  type PieceSaid,
  pathOf,
  type Question,
  reasonOf,
  saidIn,
} from "./question.ts";
import type { Piece, Sample } from "./sample.ts";
import { timedEvents, type Wire } from "./wire.ts";

export interface RequestPorts {
  readonly wire: Wire;
  readonly clock: Clock;
  /** Aborted when the benchmark is to end. */
  readonly signal: AbortSignal;
  readonly abilities: TargetAbilities;
  readonly timeoutMs: number;
}

/** The moment on the clock that a run began, and when in that run this request was due. */
export interface Due {
  readonly startMs: number;
  readonly scheduledMs: number;
}

export interface Outcome {
  readonly sample: Sample;
  /** For conversations that go on. */
  readonly text: string;
  readonly ids: readonly number[];
}

/** Never rejects: whatever goes wrong is in the sample. */
export async function request(question: Question, due: Due, ports: RequestPorts): Promise<Outcome> {
  const { clock, signal, timeoutMs } = ports;
  const heard = new Heard(due, clock.nowMs());
  const timeout = new AbortController();
  const cancel = clock.after(timeoutMs, () => timeout.abort());
  try {
    await converse(question, heard, { ...ports, signal: AbortSignal.any([signal, timeout.signal]) });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (signal.aborted) heard.failed(INTERRUPTED);
    else heard.failed(timeout.signal.aborted ? `no end within ${timeoutMs / 1000} s` : why);
  } finally {
    cancel();
  }
  return heard.outcome(clock.nowMs());
}

/** A request that the end of the benchmark cut; it says nothing of the target. */
export const INTERRUPTED = "interrupted";

async function converse(question: Question, heard: Heard, { wire, clock, signal, abilities }: RequestPorts) {
  const answer = await wire.post(pathOf(abilities), bodyOf(question, abilities), signal);
  if (answer.status >= 400) return heard.failed(reasonOf(await answer.text(), answer.status));
  if (!question.stream) return heard.whole(JSON.parse(await answer.text()));
  let ended = false;
  for await (const { atMs, data } of timedEvents(answer.chunks(), clock)) {
    if (data === "[DONE]") ended = true;
    else heard.event(JSON.parse(data), atMs);
  }
  if (!ended && !heard.isFinished) heard.failed("the answer ended in the middle");
}

/** What has been heard of one answer so far. */
class Heard {
  readonly #due: Due;
  readonly #sentMs: number;
  readonly #pieces: { atMs: number; said: PieceSaid }[] = [];
  #last: Answered = {};
  #finish: string | undefined;
  #queueMs: number | undefined;
  #error: string | undefined;
  #isWhole = false;

  constructor(due: Due, sentMs: number) {
    this.#due = due;
    this.#sentMs = sentMs;
  }

  get isFinished(): boolean {
    return this.#finish !== undefined;
  }

  failed(why: string): void {
    this.#error ??= why;
  }

  event(event: Answered, atMs: number): void {
    if (event.error) {
      this.failed(reasonOf(JSON.stringify(event)));
      return;
    }
    const said = saidIn(event);
    if (said) this.#pieces.push({ atMs, said });
    this.#figures(event);
  }

  /** No piece of a whole answer has a time of its own, so it gives no first token. */
  whole(answer: Answered): void {
    if (answer.error) this.failed(reasonOf(JSON.stringify(answer)));
    this.#isWhole = true;
    this.#figures(answer);
  }

  outcome(nowMs: number): Outcome {
    const { startMs, scheduledMs } = this.#due;
    const at = (ms: number) => ms - startMs;
    const usage = this.#last.usage;
    const pieces: Piece[] = this.#isWhole
      ? [[nowMs - this.#sentMs, usage?.completion_tokens ?? 0]]
      : this.#timedPieces(usage?.completion_tokens);
    const outputTokens = usage?.completion_tokens ?? pieces.reduce((sum, [, tokens]) => sum + tokens, 0);
    const first = (matches: (said: PieceSaid) => boolean) => {
      const found = this.#pieces.find(({ said }) => matches(said));
      return found && at(found.atMs);
    };
    const [firstMs, firstReasoningMs, firstAnswerMs] = [
      first(() => true),
      first(({ reasoning }) => reasoning !== ""),
      first(({ answer }) => answer !== ""),
    ];
    if (outputTokens === 0) this.failed("the answer holds no token");
    const sample: Sample = {
      scheduledMs,
      sentMs: at(this.#sentMs),
      ...(firstMs !== undefined && { firstMs }),
      ...(firstReasoningMs !== undefined && { firstReasoningMs }),
      ...(firstReasoningMs !== undefined && firstAnswerMs !== undefined && { firstAnswerMs }),
      endMs: at(nowMs),
      pieces,
      promptTokens: usage?.prompt_tokens ?? 0,
      cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? 0,
      outputTokens,
      ...(this.#queueMs !== undefined && { queueMs: this.#queueMs }),
      ...(this.#finish !== undefined && { finish: this.#finish }),
      ...(this.#error !== undefined && { error: this.#error }),
    };
    return {
      sample,
      text: this.#pieces.map(({ said }) => said.answer).join(""),
      ids: this.#pieces.flatMap(({ said }) => said.ids ?? []),
    };
  }

  #figures({ choices, usage, timings }: Answered): void {
    this.#finish = choices?.[0]?.finish_reason ?? this.#finish;
    if (usage) this.#last = { usage };
    this.#queueMs = timings?.queue_ms ?? this.#queueMs;
  }

  /** Where the target does not say how many tokens a piece bears, its answer's tokens are spread evenly. */
  #timedPieces(completionTokens: number | undefined): Piece[] {
    const isTold = this.#pieces.every(({ said }) => said.ids !== undefined);
    const each = (completionTokens ?? this.#pieces.length) / this.#pieces.length;
    let before = this.#sentMs;
    return this.#pieces
      .map(({ atMs, said }) => ({ atMs, tokens: isTold ? (said.ids?.length ?? 0) : each }))
      .filter(({ tokens }) => tokens > 0)
      .map(({ atMs, tokens }) => {
        const gap = atMs - before;
        before = atMs;
        return [gap, tokens];
      });
  }
}
