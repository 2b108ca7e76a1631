/** Sends one request and times what comes back. */
import type { Clock } from "#actors/runtime/clock";
import type { TargetAbilities } from "./abilities.ts";
import { type Heard, reasonOf } from "./dialects/dialect.ts";
import type { Question } from "./question.ts";
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
  const heard = new Listening(due, clock.nowMs());
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

async function converse(
  question: Question,
  heard: Listening,
  { wire, clock, signal, abilities }: RequestPorts,
) {
  const { dialect } = abilities;
  const answer = await wire.post(dialect.path, dialect.body(question, abilities), signal);
  if (answer.status >= 400) return heard.failed(reasonOf(await answer.text(), answer.status));
  if (!question.stream) return heard.whole(dialect.heard(parsed(await answer.text())));
  let events = 0;
  for await (const { atMs, data } of timedEvents(answer.chunks(), { clock, framing: dialect.framing })) {
    events += 1;
    heard.event(data === "[DONE]" ? { ended: true } : dialect.heard(parsed(data)), atMs);
  }
  if (!heard.isEnded)
    heard.failed(events === 0 ? "the answer is no stream of events" : "the answer ended in the middle");
}

/** Throws in the words of who reads the report. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`the answer holds what is no JSON: ${reasonOf(text) || "nothing"}`, { cause: error });
  }
}

/** What has been heard of one answer so far. */
class Listening {
  readonly #due: Due;
  readonly #sentMs: number;
  readonly #pieces: { atMs: number; said: Heard }[] = [];
  #last: Heard = {};
  #error: string | undefined;
  #isWhole = false;

  constructor(due: Due, sentMs: number) {
    this.#due = due;
    this.#sentMs = sentMs;
  }

  get isEnded(): boolean {
    return this.#last.ended === true || this.#last.finish !== undefined;
  }

  failed(why: string): void {
    this.#error ??= why;
  }

  event(said: Heard, atMs: number): void {
    if (said.error !== undefined) {
      this.failed(said.error);
      return;
    }
    // A role, the finish and the counts bear no token.
    if (said.answer !== undefined || said.reasoning !== undefined || said.ids?.length)
      this.#pieces.push({ atMs, said });
    this.#last = { ...this.#last, ...said };
  }

  /** No piece of a whole answer has a time of its own, so it gives no first token. */
  whole(said: Heard): void {
    if (said.error !== undefined) this.failed(said.error);
    this.#isWhole = true;
    this.#last = said;
  }

  outcome(nowMs: number): Outcome {
    const { startMs, scheduledMs } = this.#due;
    const at = (ms: number) => ms - startMs;
    const { queueMs, finish, promptTokens = 0, cachedTokens = 0 } = this.#last;
    const pieces: Piece[] = this.#isWhole
      ? [[nowMs - this.#sentMs, this.#last.outputTokens ?? 0]]
      : this.#timedPieces(this.#last.outputTokens);
    const outputTokens = this.#last.outputTokens ?? pieces.reduce((sum, [, tokens]) => sum + tokens, 0);
    const first = (matches: (said: Heard) => boolean) => {
      const found = this.#pieces.find(({ said }) => matches(said));
      return found && at(found.atMs);
    };
    const [firstMs, firstReasoningMs, firstAnswerMs] = [
      first(() => true),
      first(({ reasoning }) => reasoning !== undefined),
      first(({ answer }) => answer !== undefined && answer !== ""),
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
      promptTokens,
      cachedTokens,
      outputTokens,
      ...(queueMs !== undefined && { queueMs }),
      ...(finish !== undefined && { finish }),
      ...(this.#error !== undefined && { error: this.#error }),
    };
    return {
      sample,
      text: this.#pieces.map(({ said }) => said.answer ?? "").join(""),
      ids: this.#pieces.flatMap(({ said }) => said.ids ?? []),
    };
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
