/** One request on its way: first its prompt goes through the model in chunks, then a token at a time. */
import type { Delta, Generation, TokenLogprob } from "#protocol/generation";
import type { Passes } from "../sampling/passes.ts";
import { scoresOf } from "../sampling/scores.ts";
import { Answer, type Ending, tokenLogprob } from "./answer.ts";
import type { Limits } from "./limits.ts";
import type { Plan } from "./plan.ts";
import { reusableLength } from "./prefix-cache.ts";
import type { Sequence } from "./sequence.ts";
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
  readonly limits: Pick<Limits, "prefillChunk" | "prefillChunkMin">;
}

/** Scoring a prompt needs the logits of every position at once; this bounds their memory (64 x 150,000 x 4 B = 38 MB). */
const SCORED_CHUNK = 64;

export class Request {
  readonly generation: Generation;
  readonly sink: Sink;
  readonly plan: Plan;
  /** Present from the first unit of work on. */
  sequence: Sequence | undefined;
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
  /** The prompt and the answer so far: all but the last go into the sequence before that one is decoded. */
  readonly #tokens: number[];

  constructor(generation: Generation, sink: Sink, plan: Plan, ports: RequestPorts) {
    this.generation = generation;
    this.sink = sink;
    this.plan = plan;
    this.#ports = ports;
    this.#answer = new Answer(ports.text, generation, plan.maxTokens);
    this.#submittedMs = ports.nowMs();
    this.#tokens = [...plan.prompt];
  }

  /** Whether the prompt's own scores are asked for: then all of it must be computed. */
  get scored(): boolean {
    return this.generation.promptLogprobs === true;
  }

  /** Tokens still to go before the last, whose logits give the next of the answer. */
  get prefillLeft(): number {
    return this.#tokens.length - 1 - (this.sequence?.tokens.length ?? 0);
  }

  /** Whether `nextToken` is what its sequence waits for: then it can go through the model with other requests'. */
  get decodes(): boolean {
    return this.sequence !== undefined && this.prefillLeft <= 0 && !this.#answer.full;
  }

  get nextToken(): number {
    return this.#tokens.at(-1) ?? 0;
  }

  /** How much of `prompt` this one will have computed when its own prefill is done. */
  willHold(prompt: readonly number[]): number {
    const { plan, sequence } = this;
    return sequence && this.prefillLeft > 0 ? reusableLength(prompt, plan.prompt.slice(0, -1)) : 0;
  }

  /** Begins, on a sequence that holds a beginning of the prompt (or nothing). */
  open(sequence: Sequence): void {
    this.sequence = sequence;
    this.#cachedTokens = sequence.tokens.length;
    this.#openedMs = this.#ports.nowMs();
    if (!this.scored) this.sink.delta({ type: "started", promptTokens: [...this.plan.prompt] });
  }

  /**
   * One chunk of the prompt, which takes about `unitMs` where that is given. Answers whether the request is complete,
   * because no answer is asked for.
   */
  prefill(sequence: Sequence, unitMs?: number): boolean {
    if (this.prefillLeft > 0) {
      const startedMs = this.#ports.nowMs();
      const before = sequence.tokens.length;
      this.#prefillChunk(sequence, this.#chunk(unitMs));
      this.#tokenMs = (this.#ports.nowMs() - startedMs) / (sequence.tokens.length - before);
    }
    if (this.prefillLeft > 0 || !this.#answer.full) return false;
    this.#tellScores();
    this.#prefilledMs = this.#ports.nowMs();
    this.#finish({ reason: "length" });
    return true;
  }

  /** The keys and values are lost, not the answer: all tokens so far go through the model again, without company. */
  restart(): void {
    this.sequence?.dispose();
    this.alone = true;
  }

  /** Tokens of the next chunk: as many as `unitMs` allows at the pace of the one before, the fewest while that is unknown. */
  #chunk(unitMs: number | undefined): number {
    const { prefillChunk, prefillChunkMin } = this.#ports.limits;
    const most = this.scored ? Math.min(SCORED_CHUNK, prefillChunk) : prefillChunk;
    if (unitMs === undefined) return most;
    return Math.min(most, Math.max(prefillChunkMin, Math.floor(unitMs / this.#tokenMs)));
  }

  #prefillChunk(sequence: Sequence, most: number): void {
    const start = sequence.tokens.length;
    const chunk = this.#tokens.slice(start, Math.min(start + most, this.#tokens.length - 1));
    // A second time, after a lost cache, the scores are known already.
    if (!this.scored || start + 1 < this.#promptScores.length || this.#answer.count > 0) {
      sequence.prefill(chunk);
      return;
    }
    const { vocabularySize, text, passes } = this.#ports;
    const count = this.generation.logprobs ?? 0;
    const logits = sequence.all(chunk);
    for (const [row] of chunk.entries()) {
      const known = logits.subarray(row * vocabularySize, (row + 1) * vocabularySize);
      const scored = scoresOf(known, { id: this.#tokens[start + row + 1] ?? 0, count }, passes);
      this.#promptScores.push(tokenLogprob(text, scored));
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
    if (this.#answer.count === 0) {
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
