/**
 * The token loop of one model: prompts are computed in turns and answers all together, one unit of work at a time, so that
 * the caller can hear its messages in between. Nothing here waits, and nothing one request does hurts another. Over several
 * machines a unit is begun here and completed later, and others are begun meanwhile, so that none of them is idle.
 */
import type { Generation } from "#protocol/generation";
import { type RequestId, requestOf } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { Wanted } from "../models/model.ts";
import { hostPasses } from "../sampling/passes.ts";
import type { Computer, Feed, Outcome } from "./computer.ts";
import type { EnginePorts } from "./engine-ports.ts";
import { Here } from "./here.ts";
import { contextLengthOf, limitsOf, type OwnLimits } from "./limits.ts";
import { type Bounds, planOf } from "./plan.ts";
import { PrefixCache } from "./prefix-cache.ts";
import { Request, type RequestPorts, type Sink } from "./request.ts";
import type { TokenSequence } from "./sequence.ts";
import { Traffic } from "./traffic.ts";

/** A request waits for another's prefill if it can take at least so many tokens over from it. */
const AWAITED_TOKENS_MIN = 64;

export class Engine {
  readonly #ports: EnginePorts;
  readonly #limits: OwnLimits;
  readonly #bounds: Bounds;
  readonly #requestPorts: RequestPorts;
  readonly #computer: Computer;
  readonly #traffic: Traffic;
  readonly #prefixes: PrefixCache;
  readonly #queued: Request[] = [];
  /** In the order of their turns: the first is next. */
  readonly #active: Request[] = [];
  /** The requests whose sinks are being told, and those of them that a sink cancelled: that takes effect afterwards. */
  readonly #working = new Set<Request>();
  readonly #cancelled = new Set<Request>();

  constructor(ports: EnginePorts) {
    const { model, limits, text, clock, defaults = {}, passes = hostPasses } = ports;
    const contextLength = contextLengthOf(model, limits);
    this.#ports = ports;
    this.#computer = ports.computer ?? new Here(ports, () => this.#prefixes.clear());
    this.#limits = limitsOf(limits, this.#computer);
    this.#bounds = { contextLength, vocabularySize: model.vocabularySize, defaults, passes };
    this.#requestPorts = {
      text,
      nowMs: () => clock.nowMs(),
      vocabularySize: model.vocabularySize,
      passes,
      limits: this.#limits,
    };
    this.#prefixes = new PrefixCache(this.#limits);
    this.#traffic = new Traffic(this.#computer.stages, this.#limits.prefillSharedMs);
  }

  get contextLength(): number {
    return this.#bounds.contextLength;
  }

  /** Requests at work, requests waiting, and the memory kept for requests to come. */
  get load(): { readonly active: number; readonly queued: number; readonly prefixBytes: number } {
    return { active: this.#active.length, queued: this.#queued.length, prefixBytes: this.#prefixes.nbytes };
  }

  /** Requests, by any try of them, that decode by themselves, as a pass failed in which they were with others. */
  get alone(): readonly RequestId[] {
    return [...this.#active, ...this.#queued].flatMap(({ alone, generation }) =>
      alone ? requestOf(generation.id) : [],
    );
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
    const request = new Request(generation, sink, plan, this.#requestPorts);
    request.alone = this.#ports.alone?.includes(requestOf(generation.id)) ?? false;
    this.#queued.push(request);
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
   * Does one unit of work, or begins it: one chunk of one prompt, or the next token of every answer, in one pass through the
   * model. false: there was nothing to do, or enough is under way.
   */
  step(): boolean {
    const request = this.#computer.full ? undefined : this.#nextInTurn();
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

  /** Ends every request, by default because the model is, and gives back what they computed; the model is not the engine's. */
  release(problem: Problem = new Problem("unavailable", "the model was stopped")): void {
    for (const request of [...this.#active, ...this.#queued]) {
      this.#drop(request);
      request.sink.failed(problem);
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
    const at = this.#active.findIndex(
      (request) => this.#traffic.takes(request, this.#active) && (request.sequence || !this.#awaits(request)),
    );
    const [request] = at < 0 ? [] : this.#active.splice(at, 1);
    if (request) this.#active.push(request);
    return request;
  }

  /** Whether another request is about to compute much of this one's prompt. */
  #awaits({ scored, known }: Request): boolean {
    if (scored) return false;
    const promised = Math.max(0, ...this.#active.map((other) => other.willHold(known.tokens)));
    return promised >= AWAITED_TOKENS_MIN && promised > this.#prefixes.find(known, this.#running());
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
    const known = request.scored ? undefined : this.#prefixes.take(request.known, this.#running());
    request.open(known ?? this.#computer.begin());
  }

  #prefill(request: Request): void {
    const { sequence } = request;
    if (!sequence) return;
    const chunk = request.chunk(sequence, this.#traffic.unitMs(request, this.#active));
    if (!chunk) {
      if (request.completeAtOnce(sequence)) this.#leave(request);
      return;
    }
    const { start, tokens, wanted, isReplay } = chunk;
    sequence.strides.add(isReplay ? 1 : tokens.length, isReplay ? tokens.length : 1);
    if (tokens.length === 0) this.#fail(request, new Error(`a chunk of no tokens after ${start}`));
    else
      this.#begin([request], wanted, [{ sequence, tokens }], (_, logits, tookMs) =>
        request.prefilled(chunk, logits, tookMs),
      );
  }

  /** The next token of this request's answer and of others that are as far. */
  #decode(request: Request): void {
    const batch = this.#company(request);
    const feeds = batch.flatMap(({ sequence, nextToken }) =>
      sequence ? { sequence, tokens: [nextToken] } : [],
    );
    for (const { sequence } of feeds) sequence.strides.add(1);
    this.#begin(batch, "last", feeds, (member, logits) => member.take(logits));
  }

  /** Has a unit computed, `feeds` being the members'. `take` hears of each that went well, and answers whether it is complete. */
  #begin(
    members: readonly Request[],
    wanted: Wanted,
    feeds: readonly Feed[],
    take: (member: Request, logits: Float32Array, tookMs: number) => boolean,
  ): void {
    const current = feeds.map(({ sequence, sequence: { life } }, i) => {
      return () => members[i]?.sequence === sequence && sequence.life === life;
    });
    const ended = this.#traffic.began(members, wanted);
    this.#computer.compute({ feeds, wanted }, (outcomes, tookMs) => {
      ended();
      try {
        for (const member of members) this.#working.add(member);
        for (const [i, member] of members.entries()) {
          const outcome = outcomes[i];
          if (!outcome || !current[i]?.() || this.#cancelled.has(member)) continue;
          this.#attempt(member, () => {
            if ("logits" in outcome) {
              if (take(member, outcome.logits, tookMs)) this.#leave(member);
            } else this.#lost(member, outcome);
          });
        }
      } finally {
        this.#settle();
      }
    });
  }

  /** The unit failed for this request. Whose fault it was is found by letting it go on alone; lack of memory, by giving up what is kept. */
  #lost(request: Request, outcome: Exclude<Outcome, { logits: Float32Array }>): void {
    if ("error" in outcome) {
      const isFull = outcome.error instanceof Problem && outcome.error.kind === "doesNotFit";
      if (!isFull || this.#prefixes.size === 0) throw outcome.error;
    }
    // What is kept may be of no use on the machine where this was lost.
    if ("error" in outcome || this.#computer.stages > 1) this.#prefixes.clear();
    request.restart();
  }

  /** Who decodes in one pass with this request, itself first; their next turn comes after all others'. */
  #company(request: Request): Request[] {
    const others = this.#active.filter((other) => other !== request && other.decodes && !other.alone);
    const most = this.#traffic.together(this.#active);
    const batch = request.alone ? [request] : [request, ...others].slice(0, most);
    const rest = this.#active.filter((other) => !batch.includes(other));
    this.#active.splice(0, this.#active.length, ...rest, ...batch);
    return batch;
  }

  /** What was cancelled while its sink was told, and is not over, ends. */
  #settle(): void {
    const cancelled = [...this.#cancelled];
    this.#working.clear();
    this.#cancelled.clear();
    for (const request of cancelled) if (this.#active.includes(request)) this.cancel(request.generation.id);
  }

  #running(): TokenSequence[] {
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
