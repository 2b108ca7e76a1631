/**
 * Units of work computed by the layers of several machines in a row, as their last one sees it: it says what all of them do, in one
 * order, and holds sequences as they will be when all that is under way has been computed.
 */
import type { Pass, SequenceFeed, SequenceOperation } from "#protocol/pass";
import { type Problem, problemOf } from "#protocol/problem";
import type { Wanted } from "../models/model.ts";
import type { Computer, Done, Outcome, Unit } from "./computer.ts";
import { type Awaited, Patience } from "./patience.ts";
import type { TokenSequence } from "./sequence.ts";
import type { Ran } from "./stage.ts";
import { Strides } from "./strides.ts";

/** What every pass of an epoch has in common is its sender's to add. */
export type PassOrder = Omit<Pass, "instance" | "epoch">;

export interface PipelinePorts {
  readonly stages: number;
  /** Tokens whose hidden state fits one message. */
  readonly rowsMax: number;
  /** The least tokens that a layer of any stage attends to; undefined where all of them see everything. */
  readonly window: number | undefined;
  /** To the first stage. */
  readonly send: (pass: PassOrder) => void;
  /** Memory that a sequence takes on all stages, as far as it is known here. */
  readonly nbytesOf: (sequence: number) => number;
  readonly nowMs: () => number;
}

/**
 * Operations that wait for a pass before they get one to themselves: half of what a pass may carry, so that those which come while that
 * one is under way have room in the next.
 */
const OPERATIONS_WAITING_MAX = 512;

interface Pending extends Awaited {
  /** Ids of the unit's sequences, in its order. */
  readonly sequences: readonly number[];
  readonly sentMs: number;
  readonly done: Done;
}

export class Pipeline implements Computer {
  readonly stages: number;
  readonly rowsMax: number;
  readonly #ports: PipelinePorts;
  readonly #pending = new Map<number, Pending>();
  readonly #patience = new Patience();
  readonly #ops: SequenceOperation[] = [];
  #passes = 0;
  #sequences = 0;
  /** The pass of operations alone that is under way. */
  #flushed: number | undefined;

  constructor(ports: PipelinePorts) {
    this.#ports = ports;
    this.stages = ports.stages;
    this.rowsMax = ports.rowsMax;
  }

  /** Passes under way. */
  get underWay(): number {
    return this.#pending.size;
  }

  /** How long the next of them may take to come back; undefined where none is. */
  get patienceMs(): number | undefined {
    return this.#patience.of(this.#pending.values());
  }

  /** Operations wait for those that are under way by themselves, as many as get a pass to themselves. */
  get full(): boolean {
    return this.#ops.length >= OPERATIONS_WAITING_MAX;
  }

  begin(): StagedSequence {
    return new StagedSequence({
      window: this.#ports.window,
      nbytesOf: this.#ports.nbytesOf,
      freshId: () => this.#sequences++,
      say: (op) => this.#say(op),
    });
  }

  compute({ feeds, wanted }: Unit, done: Done): void {
    const staged = feeds.map(({ sequence, tokens }) => {
      if (!(sequence instanceof StagedSequence))
        throw new Error("a sequence of one machine was given to several");
      const { id } = sequence;
      const position = sequence.feed(tokens);
      return { sequence: id, position, count: tokens.length, tokens: [...tokens] };
    });
    this.#send(staged, wanted, done);
  }

  /** A pass has been through all stages; `tookMs` is the time of this one. */
  completed(number: number, ran: Ran, tookMs: number): void {
    const pending = this.#pending.get(number);
    if (!pending) return;
    this.#pending.delete(number);
    if (number === this.#flushed) this.#flushed = undefined;
    this.#flush();
    const { sequences, sentMs, done } = pending;
    this.#patience.came(pending, this.#ports.nowMs() - sentMs);
    done(
      sequences.map((sequence) => outcomeOf(sequence, ran)),
      tookMs * this.stages,
    );
  }

  /**
   * A pass failed of what is in it: a request that was alone there hears that, several are to go on by themselves. Answers whether
   * it is known whose fault it was.
   */
  failed(number: number, error: Problem): boolean {
    const pending = this.#pending.get(number);
    this.#pending.delete(number);
    const isKnown = pending?.sequences.length === 1;
    pending?.done(
      pending.sequences.map(() => (isKnown ? { error } : { again: true })),
      0,
    );
    return isKnown;
  }

  /** Answers the number of the pass. */
  #send(feeds: readonly SequenceFeed[], wanted: Wanted, done: Done): number {
    const number = this.#passes++;
    const sequences = feeds.map(({ sequence }) => sequence);
    const tokens = feeds.reduce((sum, { count }) => sum + count, 0);
    const sentMs = this.#ports.nowMs();
    this.#pending.set(number, { sequences, isChunk: wanted !== "last", tokens, sentMs, done });
    this.#ports.send({ number, ops: this.#ops.splice(0), feeds: [...feeds], wanted });
    return number;
  }

  #say(op: SequenceOperation): void {
    if (op.type === "dispose" && this.#unsay(op.sequence)) return;
    this.#ops.push(op);
    this.#flush();
  }

  /** Takes back what no stage has heard of this sequence, if that is all there is and no other was begun from it. */
  #unsay(sequence: number): boolean {
    const ops = this.#ops;
    const isNew = ops.some((op) => op.type === "fork" && op.sequence === sequence);
    if (!isNew || ops.some((op) => op.type === "fork" && op.from === sequence)) return false;
    ops.splice(0, ops.length, ...ops.filter((op) => op.sequence !== sequence));
    return true;
  }

  /** Requests for which nothing is computed have operations but no pass: without end they would be more than one pass can carry. */
  #flush(): void {
    if (this.#flushed !== undefined || !this.full) return;
    this.#flushed = this.#send([], "last", () => {});
  }
}

function outcomeOf(sequence: number, { feeds, lost, values }: Ran): Outcome {
  const row = feeds.findIndex((feed) => feed.sequence === sequence);
  const size = values.length / feeds.length;
  if (row >= 0) return { logits: values.subarray(row * size, (row + 1) * size) };
  const problem = lost.find((one) => one.sequence === sequence)?.problem;
  return problem ? { error: problemOf(problem) } : { again: true };
}

interface StagedPorts {
  readonly window: number | undefined;
  readonly nbytesOf: (sequence: number) => number;
  readonly freshId: () => number;
  /** Has all stages do something before the next pass is computed. */
  readonly say: (op: SequenceOperation) => void;
}

/** What a sequence begins with. */
interface Begun {
  readonly tokens?: readonly number[];
  readonly strides?: Strides;
  readonly slides?: boolean;
}

/** A sequence whose keys and values lie on several machines. */
export class StagedSequence implements TokenSequence {
  readonly strides: Strides;
  id: number;
  life = 0;
  readonly #ports: StagedPorts;
  readonly #tokens: number[];
  /** A window has begun to slide, and with it went what lies before it: as cache/rotating.ts has it. */
  #slides: boolean;

  constructor(ports: StagedPorts, { tokens = [], strides = new Strides(), slides = false }: Begun = {}) {
    this.#ports = ports;
    this.#tokens = [...tokens];
    this.strides = strides;
    this.#slides = slides;
    this.id = ports.freshId();
  }

  get tokens(): readonly number[] {
    return this.#tokens;
  }

  get nbytes(): number {
    return this.#ports.nbytesOf(this.id);
  }

  /** These tokens follow. Answers how many there were before. */
  feed(tokens: readonly number[]): number {
    const position = this.#tokens.length;
    if (position >= (this.#ports.window ?? Number.POSITIVE_INFINITY)) this.#slides = true;
    for (const token of tokens) this.#tokens.push(token);
    return position;
  }

  canCut(length: number): boolean {
    const count = this.#tokens.length;
    return length === count || (length < count && !this.#slides);
  }

  cut(length: number): void {
    if (length === this.#tokens.length) return;
    this.#ports.say({ type: "cut", sequence: this.id, length });
    this.strides.cut(length);
    this.#tokens.length = length;
  }

  fork(length: number): StagedSequence {
    const copy = new StagedSequence(this.#ports, {
      tokens: this.#tokens.slice(0, length),
      strides: this.strides.first(length),
      slides: this.#slides,
    });
    this.#ports.say({ type: "fork", from: this.id, sequence: copy.id, length });
    return copy;
  }

  dispose(): void {
    if (this.#tokens.length > 0) this.#ports.say({ type: "dispose", sequence: this.id });
    this.#tokens.length = 0;
    this.strides.cut(0);
    this.#slides = false;
    this.id = this.#ports.freshId();
    this.life++;
  }
}
