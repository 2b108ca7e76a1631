/** What the client of one request has of its answer: all that another worker needs to go on with it, 4 bytes a token. */
import type { Delta, Generation, Stride, Timings } from "#protocol/generation";

/** No context that anybody serves is longer; an answer beyond it ends with its worker. */
const TOKENS_MAX = 1 << 20;
const TOKENS_FIRST = 64;

/** `next`: the client gets it. `stale`: it has it already. `gap`: something before it is missing. */
export type Place = "next" | "stale" | "gap";

export class Journal {
  readonly #nowMs: () => number;
  /** From `started`; the words of a template that knows the date are others at another time. */
  #prompt: Uint32Array | undefined;
  /** From the first tokens: how the worker that chose them had computed the prompt. */
  #strides: readonly Stride[] | undefined;
  #tokens = new Uint32Array(TOKENS_FIRST);
  #count = 0;
  #textLength = 0;
  /** What earlier attempts took, and the time between two. */
  #spent: Timings = { queueMs: 0, prefillMs: 0, decodeMs: 0 };
  /** Whether this worker says where its tokens belong. */
  #isIndexed = false;
  #openedMs: number | undefined;
  #startedMs: number | undefined;
  #firstMs: number | undefined;
  #lostMs: number | undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Tokens that the client has. */
  get count(): number {
    return this.#count;
  }

  /** Whether the worker of this attempt has begun with the request. */
  get isStarted(): boolean {
    return this.#startedMs !== undefined;
  }

  /** The client has more than is noted here. */
  get isFull(): boolean {
    return this.#count > TOKENS_MAX;
  }

  /** A worker was given the request. */
  opened(): void {
    const nowMs = this.#nowMs();
    if (this.#lostMs !== undefined) this.#spend({ queueMs: nowMs - this.#lostMs });
    this.#lostMs = undefined;
    this.#openedMs = nowMs;
    this.#startedMs = undefined;
    this.#firstMs = undefined;
  }

  /** That worker is lost. */
  lost(): void {
    const nowMs = this.#nowMs();
    this.#lostMs ??= nowMs;
    if (this.#openedMs === undefined) return;
    const { queueMs, prefillMs } = this.#soFar(nowMs);
    this.#spend({ queueMs, prefillMs, decodeMs: nowMs - this.#openedMs - queueMs - prefillMs });
    this.#openedMs = undefined;
  }

  /** Notes what the client is about to get. */
  note(delta: Delta): Place {
    switch (delta.type) {
      case "started":
        return this.#noteStart(delta.promptTokens);
      case "text":
        return this.#noteText(delta);
      case "finish":
        return delta.usage.completionTokens > this.#count && this.#isIndexed ? "gap" : "next";
    }
  }

  /** The request as the next worker is to have it. */
  resumed(generation: Generation): Generation {
    if (!this.#prompt) return generation;
    const { promptLogprobs: _, ...rest } = generation;
    return {
      ...rest,
      prompt: { type: "tokens", tokens: [...this.#prompt] },
      resume: {
        tokens: [...this.#tokens.subarray(0, this.#count)],
        textLength: this.#textLength,
        ...(this.#strides && { strides: [...this.#strides] }),
      },
    };
  }

  /** The times of one attempt and of those before it. */
  inAll({ queueMs, prefillMs, decodeMs }: Timings): Timings {
    const spent = this.#spent;
    return {
      queueMs: spent.queueMs + queueMs,
      prefillMs: spent.prefillMs + prefillMs,
      decodeMs: spent.decodeMs + decodeMs,
    };
  }

  #noteStart(promptTokens: readonly number[]): Place {
    this.#startedMs ??= this.#nowMs();
    if (this.#prompt) return "stale";
    this.#prompt = Uint32Array.from(promptTokens);
    return "next";
  }

  #noteText({ tokens, text, index, strides }: Extract<Delta, { type: "text" }>): Place {
    if (index !== undefined) {
      this.#isIndexed = true;
      if (index < this.#count) return "stale";
      if (index > this.#count || !this.#prompt) return "gap";
    }
    this.#firstMs ??= this.#nowMs();
    if (this.#count === 0) this.#strides = strides;
    this.#textLength += text.length;
    if (this.#count + tokens.length <= TOKENS_MAX) this.#keep(tokens);
    this.#count += tokens.length;
    return "next";
  }

  #keep(tokens: readonly number[]): void {
    const needed = this.#count + tokens.length;
    if (needed > this.#tokens.length) {
      const longer = new Uint32Array(Math.max(2 * this.#tokens.length, needed));
      longer.set(this.#tokens);
      this.#tokens = longer;
    }
    this.#tokens.set(tokens, this.#count);
  }

  /** Until now, of the attempt under way. */
  #soFar(nowMs: number): { readonly queueMs: number; readonly prefillMs: number } {
    const openedMs = this.#openedMs ?? nowMs;
    const startedMs = this.#startedMs ?? this.#firstMs ?? nowMs;
    return { queueMs: startedMs - openedMs, prefillMs: (this.#firstMs ?? nowMs) - startedMs };
  }

  #spend({ queueMs = 0, prefillMs = 0, decodeMs = 0 }: Partial<Timings>): void {
    this.#spent = this.inAll({ queueMs, prefillMs, decodeMs });
  }
}
