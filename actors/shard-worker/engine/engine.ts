/**
 * The token loop of one model: prompts are computed in turns and answers all together, one unit of work at a time, so that
 * the caller can hear its messages in between. Nothing here waits, and nothing one request does hurts another.
 */
import type { Mlx } from "#ffi/array";
import type { Generation, Sampling } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { KvQuant } from "#protocol/shard";
import type { Model } from "../models/model.ts";
import { hostPasses, type Passes } from "../sampling/passes.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { type Bounds, planOf } from "./plan.ts";
import { PrefixCache } from "./prefix-cache.ts";
import { Request, type RequestPorts, type Sink } from "./request.ts";
import { requireRoom } from "./room.ts";
import { Sequence } from "./sequence.ts";
import type { TextPort } from "./text-port.ts";

export interface EnginePorts {
  readonly mlx: Mlx;
  /** All layers of a model: embedding, blocks and head. */
  readonly model: Model;
  readonly text: TextPort;
  readonly clock: { nowMs(): number };
  /** The model's own sampling, for what a request leaves out. */
  readonly defaults?: Sampling;
  readonly limits?: Partial<Limits>;
  /** By whom the passes over the vocabulary are made; by the host where not said. */
  readonly passes?: Passes;
  /** Memory that may still be taken; without bound where not said. */
  readonly freeBytes?: () => number;
  /** How keys and values are kept; absent: in what is computed in. */
  readonly kvQuant?: KvQuant;
}

/** A request waits for another's prefill if it can take at least so many tokens over from it. */
const AWAITED_TOKENS_MIN = 64;

export class Engine {
  readonly #ports: EnginePorts;
  readonly #limits: Limits;
  readonly #bounds: Bounds;
  readonly #requestPorts: RequestPorts;
  readonly #prefixes: PrefixCache;
  readonly #queued: Request[] = [];
  /** In the order of their turns: the first is next. */
  readonly #active: Request[] = [];
  /** The requests of the step under way, and those of them that a sink cancelled: that takes effect after the step. */
  readonly #working = new Set<Request>();
  readonly #cancelled = new Set<Request>();

  constructor(ports: EnginePorts) {
    const { model, limits, text, clock, defaults = {}, passes = hostPasses } = ports;
    const { start, end } = model.range;
    if (start !== 0 || end !== model.layers)
      throw new Error(`layers ${start} to ${end} alone make no tokens`);
    const longest = model.contextLength ?? CONTEXT_LENGTH_UNKNOWN;
    const contextLength = Math.min(limits?.contextLength ?? longest, longest);
    this.#ports = ports;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#bounds = { contextLength, vocabularySize: model.vocabularySize, defaults, passes };
    this.#requestPorts = {
      text,
      nowMs: () => clock.nowMs(),
      vocabularySize: model.vocabularySize,
      passes,
      limits: this.#limits,
    };
    this.#prefixes = new PrefixCache(this.#limits);
  }

  get contextLength(): number {
    return this.#bounds.contextLength;
  }

  /** Requests at work, requests waiting, and the memory kept for requests to come. */
  get load(): { readonly active: number; readonly queued: number; readonly prefixBytes: number } {
    return { active: this.#active.length, queued: this.#queued.length, prefixBytes: this.#prefixes.nbytes };
  }

  /** Takes a request on; afterwards `sink` hears of it. Throws Problem when it cannot be taken. */
  submit(generation: Generation, sink: Sink): void {
    const { activeMax, queuedMax } = this.#limits;
    if (this.#active.length + this.#queued.length >= activeMax + queuedMax) {
      throw new Problem(
        "overloaded",
        `${activeMax} requests are at work and ${queuedMax} wait: no more are taken`,
        {
          remedy: "try again in a moment",
        },
      );
    }
    const plan = planOf(generation, this.#ports.text, this.#bounds);
    this.#queued.push(new Request(generation, sink, plan, this.#requestPorts));
    this.#admit();
  }

  /** Ends a request; one that is unknown or over is left as it is. What it computed may serve the next. */
  cancel(id: RequestId): void {
    const request = [...this.#active, ...this.#queued].find(({ generation }) => generation.id === id);
    if (!request) return;
    if (this.#working.has(request)) {
      this.#cancelled.add(request);
      return;
    }
    this.#leave(request);
    request.sink.failed(new Problem("cancelled", `request ${id} was cancelled`));
  }

  /**
   * Does one unit of work: one chunk of one prompt, or the next token of every answer, in one pass through the model.
   * false: there was nothing to do.
   */
  step(): boolean {
    const request = this.#nextInTurn();
    if (!request) return false;
    try {
      this.#working.add(request);
      if (!request.sequence) this.#attempt(request, () => this.#open(request));
      if (request.decodes) this.#decode(request);
      else this.#prefill(request);
    } finally {
      this.#settle();
    }
    return true;
  }

  /** Ends every request and gives back what they computed; the model is not the engine's. */
  release(): void {
    for (const request of [...this.#active, ...this.#queued]) {
      this.#drop(request);
      request.sink.failed(new Problem("unavailable", "the model was stopped"));
    }
    this.#prefixes.clear();
    this.#ports.mlx.clearCache();
  }

  #admit(): void {
    while (this.#active.length < this.#limits.activeMax) {
      const request = this.#queued.shift();
      if (!request) return;
      this.#active.push(request);
    }
  }

  /** The next in turn, which goes to the end of the row. One that waits for another's prefill is passed over. */
  #nextInTurn(): Request | undefined {
    const at = this.#active.findIndex((request) => request.sequence !== undefined || !this.#awaits(request));
    const [request] = at < 0 ? [] : this.#active.splice(at, 1);
    if (request) this.#active.push(request);
    return request;
  }

  /** Whether another request is about to compute much of this one's prompt. */
  #awaits({ scored, plan: { prompt } }: Request): boolean {
    if (scored) return false;
    const promised = Math.max(0, ...this.#active.map((other) => other.willHold(prompt)));
    return promised >= AWAITED_TOKENS_MIN && promised > this.#prefixes.find(prompt, this.#running());
  }

  /** Work for one request, which alone is told of its failure. */
  #attempt(request: Request, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(request, error);
    }
  }

  #fail(request: Request, error: unknown): void {
    this.#drop(request);
    request.sink.failed(error);
  }

  #open(request: Request): void {
    const { mlx, model, kvQuant } = this.#ports;
    const known = request.scored ? undefined : this.#prefixes.take(request.plan.prompt, this.#running());
    request.open(known ?? new Sequence(mlx, model, model.caches(kvQuant)));
  }

  #prefill(request: Request): void {
    const { sequence } = request;
    if (!sequence) return;
    this.#attempt(request, () => {
      this.#requireRoom(sequence, Math.min(request.prefillLeft, this.#limits.prefillChunk));
      if (request.prefill(sequence, this.#unitMs(request))) this.#leave(request);
    });
  }

  /** The next token of this request's answer and of all others that are as far. */
  #decode(request: Request): void {
    const batch = this.#company(request).filter((member) => this.#hasRoom(member));
    for (const member of batch) this.#working.add(member);
    const rows = this.#logitsOf(batch);
    for (const [row, member] of batch.entries()) {
      const logits = rows[row];
      if (!logits || !member.sequence || this.#cancelled.has(member)) continue;
      this.#attempt(member, () => {
        if (member.take(logits)) this.#leave(member);
      });
    }
  }

  /** Fails a request whose next token has no room. */
  #hasRoom(request: Request): boolean {
    const { sequence } = request;
    if (sequence) this.#attempt(request, () => this.#requireRoom(sequence, 1));
    return request.sequence !== undefined;
  }

  #requireRoom(sequence: Sequence, tokens: number): void {
    const { mlx, freeBytes = () => Number.POSITIVE_INFINITY } = this.#ports;
    const relieve = () => {
      this.#prefixes.clear();
      mlx.clearCache();
    };
    requireRoom(sequence, tokens, { freeBytes, relieve });
  }

  /** Who decodes in one pass with this request, itself first; their next turn comes after all others'. */
  #company(request: Request): Request[] {
    const others = this.#active.filter((other) => other !== request && other.decodes && !other.alone);
    const batch = request.alone ? [request] : [request, ...others];
    const rest = this.#active.filter((other) => !batch.includes(other));
    this.#active.splice(0, this.#active.length, ...rest, ...batch);
    return batch;
  }

  /** No rows where the pass failed. One request alone is then over; of several, none is known to be at fault. */
  #logitsOf(batch: readonly Request[]): Float32Array[] {
    const [first] = batch;
    try {
      return Sequence.nextOfEach(
        batch.flatMap(({ sequence, nextToken: token }) => (sequence ? { sequence, token } : [])),
      );
    } catch (error) {
      if (batch.length > 1) for (const member of batch) member.restart();
      else if (first) this.#fail(first, error);
      return [];
    }
  }

  /** After a step, what was cancelled during it and is not over ends. */
  #settle(): void {
    const cancelled = [...this.#cancelled];
    this.#working.clear();
    this.#cancelled.clear();
    for (const request of cancelled) if (this.#active.includes(request)) this.cancel(request.generation.id);
  }

  /** How long one unit of this request's prompt may take, for others' answers wait: undefined where none does. */
  #unitMs(request: Request): number | undefined {
    const others = this.#active.filter((other) => other !== request && other.sequence);
    if (!others.some(({ prefillLeft }) => prefillLeft <= 0)) return undefined;
    const prompts = 1 + others.filter(({ prefillLeft }) => prefillLeft > 0).length;
    return this.#limits.prefillSharedMs / prompts;
  }

  #running(): Sequence[] {
    return this.#active.flatMap(({ sequence }) => sequence ?? []);
  }

  /** The request is over; its keys and values stay for those that begin alike. */
  #leave(request: Request): void {
    const { sequence } = request;
    request.sequence = undefined;
    this.#drop(request);
    if (sequence) this.#prefixes.put(sequence);
  }

  /** The request is over, and so is what it computed. */
  #drop(request: Request): void {
    for (const row of [this.#active, this.#queued]) {
      const at = row.indexOf(request);
      if (at >= 0) row.splice(at, 1);
    }
    request.sequence?.dispose();
    request.sequence = undefined;
    this.#admit();
  }
}

/** Where neither config nor caller names a limit, as transformers has it. */
const CONTEXT_LENGTH_UNKNOWN = 2048;
