/** One request on its way: first its prompt goes through the model in chunks, then a token at a time. */
import type { Delta, Generation, Stride, TokenLogprob } from "#protocol/generation";
import type { Passes } from "../sampling/passes.ts";
import { scoresOf } from "../sampling/scores.ts";
import { Answer, type Ending, tokenLogprob } from "./answer.ts";
import { Course, type CourseLimits } from "./course.ts";
import type { Plan } from "./plan.ts";
import { reusableLength, type Sought } from "./prefix-cache.ts";
import type { TokenSequence } from "./sequence.ts";
import type { TextPort } from "./text-port.ts";

/** Who hears of a request: deltas, and then either the delta `finish` or `failed`. */
export interface Sink {
  delta(delta: Delta): void;
  failed(error: unknown): void;
}

export interface RequestPorts {
  readonly text: TextPort;
  readonly nowMs: () => number;
  readonly vocabularySize: number;
  readonly passes: Passes;
  readonly limits: CourseLimits;
}

/** A part of the prompt on its way through the model. */
export interface Chunk {
  /** Tokens before it. */
  readonly start: number;
  readonly tokens: readonly number[];
  readonly wanted: "hidden" | "all";
  /** They went one at a time when they were first computed. */
  readonly isReplay: boolean;
}

export class Request {
  readonly generation: Generation;
  readonly sink: Sink;
  readonly plan: Plan;
  /** Present from the first unit of work on. */
  sequence: TokenSequence | undefined;
  /** A pass with others failed: from then on it decodes by itself, so that whose fault it was shows. */
  alone = false;
  readonly #ports: RequestPorts;
  readonly #answer: Answer;
  readonly #course: Course;
  readonly #promptScores: (TokenLogprob | null)[] = [null];
  readonly #submittedMs: number;
  #openedMs = 0;
  #prefilledMs = 0;
  #cachedTokens = 0;
  /** The prompt and the answer so far: all but the last go into the sequence before that one is decoded. */
  readonly #tokens: number[];
  /** Of an answer that was complete when its worker was lost, but for the word that it is. */
  readonly #ending: Ending | undefined;

  constructor(generation: Generation, sink: Sink, plan: Plan, ports: RequestPorts) {
    this.generation = generation;
    this.sink = sink;
    this.plan = plan;
    this.#ports = ports;
    this.#answer = new Answer(ports.text, generation, plan.maxTokens);
    this.#course = new Course(plan.prompt.length, ports.limits);
    this.#submittedMs = ports.nowMs();
    const { resume } = generation;
    this.#ending = resume && this.#answer.resume(resume);
    this.#tokens = [...plan.prompt, ...(resume?.tokens ?? [])];
    for (const id of resume?.tokens ?? []) plan.penalties.said(id);
    if (resume && resume.tokens.length > 0) this.#course.resume(resume.strides);
  }

  /** Whether the prompt's own scores are asked for and not delivered yet: then all of it must be computed. */
  get scored(): boolean {
    return this.generation.promptLogprobs === true && !this.generation.resume;
  }

  /** The prompt and the answer so far: what a sequence that knows its beginning may be taken over for. */
  get known(): Sought {
    return { tokens: this.#tokens, strides: this.#course.wanted(this.#tokens.length - 1) };
  }

  /** Tokens still to go before the last, whose logits give the next of the answer. */
  get prefillLeft(): number {
    if (this.#ending) return 0;
    return this.#tokens.length - 1 - (this.sequence?.tokens.length ?? 0);
  }

  /** Whether `nextToken` is what its sequence waits for: then it can go through the model with other requests'. */
  get decodes(): boolean {
    return this.sequence !== undefined && this.prefillLeft === 0 && !this.#over;
  }

  /** Whether its answer is under way: `nextToken` goes through the model, or may at once. */
  get answers(): boolean {
    return this.sequence !== undefined && this.prefillLeft <= 0 && !this.#over;
  }

  /** Whether a unit of work of this request can begin. */
  get ready(): boolean {
    if (!this.sequence || this.prefillLeft > 0 || this.decodes) return true;
    return this.underWay === 0;
  }

  /** How it ends without another token. */
  get #over(): Ending | undefined {
    return this.#ending ?? (this.#answer.full ? { reason: "length" } : undefined);
  }

  get nextToken(): number {
    return this.#tokens.at(-1) ?? 0;
  }

  /** How much of `prompt` this one will have computed, while it goes through that; what of it nobody can take over later is not waited for. */
  willHold(prompt: readonly number[]): number {
    const { sequence } = this;
    if (!sequence || this.prefillLeft <= 0) return 0;
    const common = reusableLength(prompt, this.#tokens.slice(0, -1));
    return sequence.tokens.length < common ? common : 0;
  }

  /** Begins, on a sequence that holds a beginning of the prompt (or nothing). */
  open(sequence: TokenSequence): void {
    this.sequence = sequence;
    this.#cachedTokens = Math.min(sequence.tokens.length, this.plan.prompt.length);
    this.#openedMs = this.#ports.nowMs();
    if (!this.scored) this.sink.delta({ type: "started", promptTokens: [...this.plan.prompt] });
  }

  /** Units of work under way; those begun before a `restart` are among them. */
  underWay = 0;

  /** The next chunk of the prompt, which takes about `unitMs` where that is given; undefined when none is left. */
  chunk(sequence: TokenSequence, unitMs?: number): Chunk | undefined {
    if (this.prefillLeft <= 0) return undefined;
    const start = sequence.tokens.length;
    const asked = { start, end: this.#tokens.length - 1, isScored: this.scored, unitMs };
    const { count, isReplay } = this.#course.next(asked);
    const end = Math.min(start + count, asked.end);
    // A second time, after a lost cache, the scores are known already.
    const isScored = this.scored && this.#answer.count === 0 && end >= this.#promptScores.length;
    return { start, tokens: this.#tokens.slice(start, end), wanted: isScored ? "all" : "hidden", isReplay };
  }

  /** A chunk went through the model. Answers whether the request is complete, because no more of an answer is asked for. */
  prefilled({ start, tokens, wanted, isReplay }: Chunk, logits: Float32Array, tookMs: number): boolean {
    this.#course.took({ count: tokens.length, isReplay }, tookMs);
    if (wanted === "all") this.#score(start, tokens.length, logits);
    return this.#completeAt(start + tokens.length);
  }

  /** Whether nothing at all has to be computed: the prompt is known and no more of an answer is asked for. */
  completeAtOnce(sequence: TokenSequence): boolean {
    return this.underWay === 0 && this.#completeAt(sequence.tokens.length);
  }

  #completeAt(position: number): boolean {
    const ending = this.#over;
    if (!ending || (!this.#ending && position < this.#tokens.length - 1)) return false;
    this.#tellScores();
    this.#prefilledMs = this.#ports.nowMs();
    const { owed } = this.#answer;
    if (owed) this.sink.delta(owed);
    this.#finish(ending);
    return true;
  }

  /** The keys and values are lost, not the answer: all tokens so far go through the model again, without company. */
  restart(): void {
    this.sequence?.dispose();
    this.alone = true;
    this.#course.restart();
  }

  /** Scores the prompt's tokens that follow those at `start` and after, by the logits of each. */
  #score(start: number, length: number, logits: Float32Array): void {
    const { vocabularySize, text, passes } = this.#ports;
    const count = this.generation.logprobs ?? 0;
    for (let row = 0; row < length; row++) {
      const scored = start + row + 1;
      if (scored !== this.#promptScores.length) continue;
      const known = logits.subarray(row * vocabularySize, (row + 1) * vocabularySize);
      const score = scoresOf(known, { id: this.#tokens[scored] ?? 0, count }, passes);
      this.#promptScores.push(tokenLogprob(text, score));
    }
  }

  /** Chooses the next token of the answer by `logits`, which it may write over. Answers whether the request is complete. */
  take(logits: Float32Array): boolean {
    const { plan, generation, sink } = this;
    plan.penalties.apply(logits);
    for (const id of this.#answer.banned) logits[id] = Number.NEGATIVE_INFINITY;
    const id = plan.sampler(logits, this.#tokens.length);
    const count = generation.logprobs;
    const score = count === undefined ? undefined : scoresOf(logits, { id, count }, this.#ports.passes);
    const strides =
      this.#answer.count === (generation.resume?.tokens.length ?? 0) ? this.#begin() : undefined;
    plan.penalties.said(id);
    this.#tokens.push(id);
    const { delta, ending } = this.#answer.take(id, score);
    sink.delta(strides ? { ...delta, strides: [...strides] } : delta);
    if (ending) this.#finish(ending);
    return ending !== undefined;
  }

  /** The first token of its answer, or of what another worker left of it. Answers how the prompt went, if that has to be told. */
  #begin(): readonly Stride[] | undefined {
    this.#prefilledMs = this.#ports.nowMs();
    this.#tellScores();
    return this.sequence && this.#course.begin(this.sequence.strides);
  }

  /** A scored prompt is announced when its scores are known. */
  #tellScores(): void {
    if (!this.scored) return;
    const promptTokens = [...this.plan.prompt];
    const promptTexts = promptTokens.map((id) => this.#ports.text.tokenText(id).text);
    this.sink.delta({ type: "started", promptTokens, promptLogprobs: this.#promptScores, promptTexts });
  }

  #finish({ reason, stop }: Ending): void {
    const nowMs = this.#ports.nowMs();
    this.sink.delta({
      type: "finish",
      reason,
      ...(stop !== undefined && { stop }),
      usage: {
        promptTokens: this.plan.prompt.length,
        cachedTokens: this.#cachedTokens,
        completionTokens: this.#answer.count,
      },
      timings: {
        queueMs: this.#openedMs - this.#submittedMs,
        prefillMs: this.#prefilledMs - this.#openedMs,
        decodeMs: nowMs - this.#prefilledMs,
      },
    });
  }
}
