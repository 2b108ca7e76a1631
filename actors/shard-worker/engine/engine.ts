/**
 * The token loop of one model: requests are computed in turns, one unit of work at a time, so that the caller can hear
 * its messages in between. Nothing here waits, and nothing one request does hurts another.
 */
import type { Mlx } from "#ffi/array";
import type { Generation, Sampling } from "#protocol/generation";
import type { RequestId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { Model } from "../models/model.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { type Bounds, planOf } from "./plan.ts";
import { PrefixCache } from "./prefix-cache.ts";
import { Request, type RequestPorts, type Sink } from "./request.ts";
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
  /** The request of the step under way, and whether its own sink cancelled it: that takes effect after the step. */
  #working: Request | undefined;
  #cancelled = false;

  constructor(ports: EnginePorts) {
    const { model, limits, text, clock, defaults = {} } = ports;
    const { start, end } = model.range;
    if (start !== 0 || end !== model.layers)
      throw new Error(`layers ${start} to ${end} alone make no tokens`);
    const longest = model.contextLength ?? CONTEXT_LENGTH_UNKNOWN;
    const contextLength = Math.min(limits?.contextLength ?? longest, longest);
    this.#ports = ports;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#bounds = { contextLength, vocabularySize: model.vocabularySize, defaults };
    this.#requestPorts = {
      text,
      nowMs: () => clock.nowMs(),
      vocabularySize: model.vocabularySize,
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
    if (request === this.#working) {
      this.#cancelled = true;
      return;
    }
    this.#leave(request);
    request.sink.failed(new Problem("cancelled", `request ${id} was cancelled`));
  }

  /** Does one unit of work: one chunk of one prompt, or one token of one answer. false: there was nothing to do. */
  step(): boolean {
    const request = this.#nextInTurn();
    if (!request) return false;
    try {
      this.#working = request;
      const complete = request.work(request.sequence ?? this.#open(request), this.#unitMs(request));
      this.#working = undefined;
      if (complete) this.#leave(request);
      else if (this.#cancelled) this.cancel(request.generation.id);
    } catch (error) {
      this.#drop(request);
      request.sink.failed(error);
    } finally {
      this.#working = undefined;
      this.#cancelled = false;
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

  #open(request: Request): Sequence {
    const { mlx, model } = this.#ports;
    const known = request.scored ? undefined : this.#prefixes.take(request.plan.prompt, this.#running());
    const sequence = known ?? new Sequence(mlx, model);
    request.open(sequence);
    return sequence;
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
