/** One request on its way: first its prompt goes through the model in chunks, then a token at a time. */
import type { Delta, Generation, TokenLogprob } from "#protocol/generation";
import type { Passes } from "../sampling/passes.ts";
import { scoresOf } from "../sampling/scores.ts";
import { Answer, type Ending, tokenLogprob } from "./answer.ts";
import type { Limits } from "./limits.ts";
import type { Plan } from "./plan.ts";
import { reusableLength } from "./prefix-cache.ts";
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
  readonly limits: Pick<Limits, "prefillChunk" | "prefillChunkMin" | "replayRows" | "replayMs">;
}

/** Scoring a prompt needs the logits of every position at once; this bounds their memory (64 x 150,000 x 4 B = 38 MB). */
const SCORED_CHUNK = 64;

/**
 * A few rows by themselves are computed as those of an answer, with other last bits than in a longer chunk (PRODUCT_ROWS of
 * models/rows-alike.ts, twice): so few of a prompt are no chunk, or an answer would depend on where its chunks end.
 */
const TAIL_MIN = 16;

/** A part of the prompt on its way through the model. */
export interface Chunk {
  /** Tokens before it. */
  readonly start: number;
  readonly tokens: readonly number[];
  readonly wanted: "hidden" | "all";
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
  readonly #promptScores: (TokenLogprob | null)[] = [null];
  readonly #submittedMs: number;
  #openedMs = 0;
  #prefilledMs = 0;
  #cachedTokens = 0;
  /** What the last chunk of the prompt took, per token. */
  #tokenMs = Number.POSITIVE_INFINITY;
  /** Spent on having the answer so far go through the model again. */
  #replayedMs = 0;
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
    this.#submittedMs = ports.nowMs();
    const { resume } = generation;
    this.#ending = resume && this.#answer.resume(resume);
    this.#tokens = [...plan.prompt, ...(resume?.tokens ?? [])];
    for (const id of resume?.tokens ?? []) plan.penalties.said(id);
  }

  /** Whether the prompt's own scores are asked for and not delivered yet: then all of it must be computed. */
  get scored(): boolean {
    return this.generation.promptLogprobs === true && !this.generation.resume;
  }

  /** The prompt and the answer so far: what a sequence that knows its beginning may be taken over for. */
  get known(): readonly number[] {
    return this.#tokens;
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

  /** How much of `prompt` this one will have computed when its own prefill is done. */
  willHold(prompt: readonly number[]): number {
    return this.sequence && this.prefillLeft > 0 ? reusableLength(prompt, this.#tokens.slice(0, -1)) : 0;
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
    const end = Math.min(start + this.#chunkLength(start, unitMs), this.#tokens.length - 1);
    // A second time, after a lost cache, the scores are known already.
    const isScored = this.scored && this.#answer.count === 0 && end >= this.#promptScores.length;
    return { start, tokens: this.#tokens.slice(start, end), wanted: isScored ? "all" : "hidden" };
  }

  /** A chunk went through the model. Answers whether the request is complete, because no more of an answer is asked for. */
  prefilled({ start, tokens, wanted }: Chunk, logits: Float32Array, tookMs: number): boolean {
    this.#tokenMs = tookMs / tokens.length;
    // Waiting does not count: for other requests' turns, or for machines that have just loaded their layers.
    if (start >= this.plan.prompt.length - 1) this.#replayedMs += tookMs;
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
    this.#replayedMs = 0;
  }

  /** Tokens of the next chunk: the prompt and the answer so far go through the model as they did at first. */
  #chunkLength(start: number, unitMs: number | undefined): number {
    const prompt = this.plan.prompt.length - 1;
    if (start < prompt) return this.#promptChunk(prompt - start, unitMs);
    const { replayRows, replayMs } = this.#ports.limits;
    return this.#replayedMs < replayMs
      ? replayRows
      : this.#promptChunk(this.#tokens.length - 1 - start, unitMs);
  }

  /** Of so many left as many as `unitMs` allows at the pace of the chunk before, the fewest while that is unknown. */
  #promptChunk(left: number, unitMs: number | undefined): number {
    const { prefillChunk, prefillChunkMin } = this.#ports.limits;
    const longest = this.scored ? Math.min(SCORED_CHUNK, prefillChunk) : prefillChunk;
    const paced =
      unitMs === undefined ? longest : Math.max(prefillChunkMin, Math.floor(unitMs / this.#tokenMs));
    const most = Math.min(longest, paced);
    const isShortTail = left > most && left < most + TAIL_MIN && most >= 2 * TAIL_MIN;
    return isShortTail ? Math.ceil(left / 2) : Math.min(most, left);
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
    if (this.#answer.count === (generation.resume?.tokens.length ?? 0)) {
      this.#prefilledMs = this.#ports.nowMs();
      this.#tellScores();
    }
    plan.penalties.said(id);
    this.#tokens.push(id);
    const { delta, ending } = this.#answer.take(id, score);
    sink.delta(delta);
    if (ending) this.#finish(ending);
    return ending !== undefined;
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
