/** One stage's layers and the sequences they hold: it does what a pass says, in its order, and hurts no sequence for another's fault. */
import type { MxArray } from "#ffi/array";
import type { LostSequence, Pass, SequenceFeed, SequenceOperation } from "#protocol/pass";
import { Problem, problemBody } from "#protocol/problem";
import type { KvQuant } from "#protocol/shard";
import { Held, type Layers, runLayers } from "./held.ts";
import { areFinite, hiddenTypeOf } from "./hidden.ts";
import { sentBytes, taken } from "./hidden-sent.ts";
import type { Paces, StepKind } from "./paces.ts";
import { Room } from "./room.ts";

/** The other ranks, where each has its part of every layer. */
export interface Ranks {
  /** All are about to compute this pass: answers what any of them has lost, here as well. Throws Problem. */
  agree(intent: { readonly number: number; readonly lost: LostSequence[] }): readonly LostSequence[];
  /** Nothing is computed until the next pass. */
  rest(): void;
}

export interface StagePorts extends Layers {
  readonly ranks?: Ranks;
  readonly kvQuant?: KvQuant;
  /** Memory that may still be taken; without bound where not said. */
  readonly freeBytes?: () => number;
  /** Where the times of steps are kept. */
  readonly paces?: Paces;
}

/** What a pass gave. */
export interface Ran {
  /** Those of the pass that were computed. */
  readonly feeds: readonly SequenceFeed[];
  /** Those that were lost, here or before. */
  readonly lost: readonly LostSequence[];
  /** Hidden state of the feeds' rows, or from the last layer on what the pass wants. */
  readonly values: Float32Array;
}

/** A feed with what it needs here. */
interface Row {
  readonly feed: SequenceFeed;
  readonly held: Held;
  /** Hidden state [count, hidden]; empty at the first stage. */
  readonly hidden: Float32Array;
}

/** Sequences at once: more than an engine has requests at work and beginnings kept, so more is no engine. */
const SEQUENCES_MAX = 1024;

export class Stage {
  readonly #ports: StagePorts;
  readonly #held = new Map<number, Held>();
  readonly #room: Room;

  constructor(ports: StagePorts) {
    this.#ports = ports;
    const { mlx, freeBytes = () => Number.POSITIVE_INFINITY } = ports;
    this.#room = new Room({ freeBytes, relieve: () => mlx.clearCache() });
  }

  /** Memory of one sequence's keys and values. */
  nbytesOf(sequence: number): number {
    return this.#held.get(sequence)?.nbytes ?? 0;
  }

  /** Sequences held. */
  get size(): number {
    return this.#held.size;
  }

  /** Forgets all sequences: the epoch is over. */
  clear(): void {
    for (const sequence of [...this.#held.keys()]) this.#dispose(sequence);
    this.#ports.mlx.clearCache();
  }

  /** Throws Problem where the pass makes no sense; then nothing was done. */
  run(pass: Pass, body?: Uint8Array): Ran {
    const hidden = this.#checked(pass, body);
    for (const op of pass.ops) this.#operate(op);
    const lost: LostSequence[] = [...(pass.lost ?? [])];
    let at = 0;
    const rows = pass.feeds.flatMap((feed) => {
      const from = at;
      at += feed.count * this.#width;
      const row = this.#rowOf(feed, hidden.subarray(from, at), lost);
      return row ? [row] : [];
    });
    const taken = this.#agreed(pass.number, rows, lost);
    const values = this.#together(() => this.#compute(taken, pass.wanted, lost));
    return values
      ? { feeds: taken.map(({ feed }) => feed), lost, values }
      : { feeds: [], lost, values: NOTHING };
  }

  /** Also where it fails no rank waits for another after that. */
  #together<T>(work: () => T): T {
    try {
      return work();
    } finally {
      this.#ports.ranks?.rest();
    }
  }

  /** Values of a row of the input; none where tokens go in. */
  get #width(): number {
    const { range, hiddenSize } = this.#ports.model;
    return range.start === 0 ? 0 : hiddenSize;
  }

  /** The body's values. */
  #checked({ ops, feeds, hiddenType = "float32" }: Pass, body: Uint8Array | undefined): Float32Array {
    const own = ops.find((op) => op.type === "fork" && op.from === op.sequence);
    if (own) throw nonsense(`sequence ${own.sequence} is to begin as itself`);
    const isAlone = feeds.length <= 1;
    const isSingle = feeds.every(({ count }) => count === 1);
    if (!isAlone && (!isSingle || new Set(feeds.map(({ sequence }) => sequence)).size < feeds.length))
      throw nonsense("several sequences are fed in one pass, not each of them one token");
    const rows = feeds.reduce((sum, { count }) => sum + count, 0);
    if (this.#width === 0) {
      const { vocabularySize } = this.#ports.model;
      for (const { tokens = [], count } of feeds)
        if (tokens.length !== count || tokens.some((id) => id >= vocabularySize))
          throw nonsense(`${count} tokens are announced, and others are given`);
      return NOTHING;
    }
    const wanted = sentBytes(rows, this.#width, hiddenType);
    const given = body?.byteLength ?? 0;
    if (given !== wanted) throw nonsense(`${rows} rows take ${wanted} bytes, and ${given} were sent`);
    return body ? taken(body, this.#width, hiddenType) : NOTHING;
  }

  #operate(op: SequenceOperation): void {
    const { type, sequence } = op;
    if (type === "dispose") {
      this.#dispose(sequence);
      return;
    }
    // What was lost here is found missing when it is fed.
    const source = this.#held.get(type === "fork" ? op.from : sequence);
    if (!source?.canCut(op.length)) this.#dispose(sequence);
    else if (type === "cut") source.cut(op.length);
    else {
      this.#dispose(sequence);
      if (this.#held.size < SEQUENCES_MAX) this.#held.set(sequence, source.fork(op.length));
    }
  }

  /** Nothing where the sequence cannot go on; then it is among the lost. */
  #rowOf(feed: SequenceFeed, hidden: Float32Array, lost: LostSequence[]): Row | undefined {
    const { sequence, position, count } = feed;
    const held = this.#known(feed);
    if (held?.count !== position) {
      this.#lose(lost, { sequence });
      return undefined;
    }
    try {
      if (!areFinite(hidden, hiddenTypeOf(this.#ports.model.dtype)))
        throw new Problem("internal", "the layers before computed no numbers");
      this.#room.require({ held: held.count, nbytes: held.nbytes }, count);
      return { feed, held, hidden };
    } catch (error) {
      this.#lose(lost, { sequence, problem: problemBody(error) });
      return undefined;
    }
  }

  /** What one rank cannot go on with, none does: otherwise they would wait for each other. */
  #agreed(number: number, rows: readonly Row[], lost: LostSequence[]): readonly Row[] {
    const { ranks } = this.#ports;
    if (!ranks) return rows;
    const all = ranks.agree({ number, lost: [...lost] });
    for (const one of all) if (!lost.some(({ sequence }) => sequence === one.sequence)) this.#lose(lost, one);
    return rows.filter(({ feed }) => !lost.some(({ sequence }) => sequence === feed.sequence));
  }

  #known({ sequence, position }: SequenceFeed): Held | undefined {
    const known = this.#held.get(sequence);
    if (known || position > 0 || this.#held.size >= SEQUENCES_MAX) return known;
    const { model, kvQuant } = this.#ports;
    const begun = new Held(model.caches(kvQuant));
    this.#held.set(sequence, begun);
    return begun;
  }

  /** One sequence alone is at fault when it fails; of several none is known to be. */
  #compute(rows: readonly Row[], wanted: Pass["wanted"], lost: LostSequence[]): Float32Array | undefined {
    const [first] = rows;
    if (!first) return undefined;
    const members = rows.map(({ held }) => held);
    const { paces } = this.#ports;
    const kind = this.#kindOf(rows, first, wanted);
    const run = () =>
      runLayers(this.#ports, members, {
        count: first.feed.count,
        wanted,
        input: () => this.#input(rows),
      });
    try {
      return paces && kind ? paces.timed(kind, first.feed.position, run) : run();
    } catch (error) {
      // The others have gone on, or wait: nothing but a new beginning brings all to the same place.
      if (this.#ports.ranks) throw rankFailed(error);
      const problem = rows.length === 1 ? { problem: problemBody(error) } : {};
      for (const { feed } of rows) this.#lose(lost, { sequence: feed.sequence, ...problem });
      return undefined;
    }
  }

  /** What the time of a pass says; nothing where the last layer is not computed to its end. */
  #kindOf(rows: readonly Row[], { feed: { count } }: Row, wanted: Pass["wanted"]): StepKind | undefined {
    const { range, layers } = this.#ports.model;
    const isLast = range.end === layers;
    const until = isLast ? "head" : "layers";
    if (count > 1) return { kind: "prompt", rows: count, until };
    return isLast && wanted === "hidden" ? undefined : { kind: "decode", rows: rows.length, until };
  }

  /** [1, count] or [B, 1] token ids, or hidden state with one more axis. */
  #input(rows: readonly Row[]): MxArray {
    const { mlx, model } = this.#ports;
    const [first] = rows;
    const shape = [rows.length, first?.feed.count ?? 1];
    if (this.#width === 0) {
      const tokens = rows.flatMap(({ feed }) => feed.tokens ?? []);
      return mlx.fromInt32(Int32Array.from(tokens), shape);
    }
    const hidden = mlx.fromFloat32(joined(rows), [...shape, this.#width]);
    return model.dtype === "float32" ? hidden : hidden.astype(model.dtype);
  }

  #lose(lost: LostSequence[], one: LostSequence): void {
    this.#dispose(one.sequence);
    lost.push(one);
  }

  #dispose(sequence: number): void {
    this.#held.get(sequence)?.dispose();
    this.#held.delete(sequence);
  }
}

const NOTHING = new Float32Array(0);

/** What comes from another rank is not this pass's fault; what was thrown here is. */
const rankFailed = (cause: unknown): Problem =>
  cause instanceof Problem ? cause : new Problem("internal", `a rank failed: ${String(cause)}`, { cause });

function joined(rows: readonly Row[]): Float32Array {
  const [first] = rows;
  if (first && rows.length === 1) return first.hidden;
  const all = new Float32Array(rows.reduce((sum, { hidden }) => sum + hidden.length, 0));
  let at = 0;
  for (const { hidden } of rows) {
    all.set(hidden, at);
    at += hidden.length;
  }
  return all;
}

const nonsense = (what: string): Problem => new Problem("internal", `a pass makes no sense: ${what}`);
