/** One public API as translations. Nothing here knows of HTTP, actors or models; serve.ts does. */
import type { Delta, FinishReason, Generation, Timings, TokenLogprob, Usage } from "#protocol/generation";
import type { Problem } from "#protocol/problem";

/** A checked request with what its answer must carry. */
export interface Asked<Body> {
  readonly body: Body;
  /** As the client sees it. */
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
}

/** A delta of one of the generations that a request became, counted from 0 in their order. */
export interface ChoiceDelta {
  readonly choice: number;
  readonly delta: Delta;
}

/** All deltas of one generation put together. */
export interface Completion {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly logprobs: readonly TokenLogprob[];
  readonly started: Started;
  readonly finish: Finish;
}

export type Started = Extract<Delta, { type: "started" }>;
export type TextDelta = Extract<Delta, { type: "text" }>;
export type Finish = { readonly reason: FinishReason; readonly usage: Usage; readonly timings: Timings };

/** One record of a stream: an object to be sent as JSON, or text as it is. */
export type Frame = object | string;

/** An error in the dialect's own words. */
export interface Failure {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
}

export interface Dialect<Body> {
  readonly path: string;
  /** The start of the ids of its answers. */
  readonly idPrefix: string;
  /** Checks decoded JSON. Throws a Problem that names the field. */
  parse(json: unknown): Body;
  streams(body: Body): boolean;
  /** One per choice, prompt-major. Throws a Problem for what cannot be served. */
  toGenerations(asked: Asked<Body>): readonly Generation[];
  stream(asked: Asked<Body>, deltas: AsyncIterable<ChoiceDelta>): AsyncIterable<Frame>;
  answer(asked: Asked<Body>, completions: readonly Completion[]): object;
  /** A failure once the stream has begun; before it, see `failureAt`. */
  failureFrames(problem: Problem): readonly Frame[];
}
