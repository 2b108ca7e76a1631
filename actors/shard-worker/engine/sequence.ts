/** Tokens that went through the model, with the keys and values they left behind. */
import type { Mlx } from "#ffi/array";
import type { Cache } from "../cache/cache.ts";
import type { Model, Wanted } from "../models/model.ts";
import { Held, type Layers, runLayers } from "./held.ts";
import { Strides } from "./strides.ts";

/** What the token loop and the prefix cache know of a sequence, wherever its keys and values are. */
export interface TokenSequence {
  /** What the caches hold, or will when what is under way has been computed. */
  readonly tokens: readonly number[];
  /** How they went, or go, through the model: noted by whoever feeds them. */
  readonly strides: Strides;
  /** Memory, on all machines together. */
  readonly nbytes: number;
  /** Another after `dispose`: what was begun before it is of no more use. */
  readonly life: number;
  /** Whether the first `length` tokens can be had alone. */
  canCut(length: number): boolean;
  /** Forgets all but the first `length` tokens. */
  cut(length: number): void;
  /** A sequence of the first `length` tokens; memory is shared until one of the two goes on. */
  fork(length: number): TokenSequence;
  /** Forgets everything; it may begin anew. */
  dispose(): void;
}

/** One whose layers are all here. */
export class Sequence implements TokenSequence {
  readonly strides: Strides;
  readonly #layers: Layers;
  readonly #held: Held;
  readonly #tokens: number[];
  #life = 0;

  constructor(
    mlx: Mlx,
    model: Model,
    caches: readonly Cache[] = model.caches(),
    tokens: readonly number[] = [],
    strides = new Strides(),
  ) {
    this.strides = strides;
    this.#layers = { mlx, model };
    this.#held = new Held(caches, tokens.length);
    this.#tokens = [...tokens];
  }

  get tokens(): readonly number[] {
    return this.#tokens;
  }

  get nbytes(): number {
    return this.#held.nbytes;
  }

  get life(): number {
    return this.#life;
  }

  /** Fills the caches with these tokens; nothing beyond that is computed. */
  prefill(tokens: readonly number[]): void {
    this.run(tokens, "hidden");
  }

  /** Feeds the tokens; logits [vocabulary] after the last of them. */
  next(tokens: readonly number[]): Float32Array {
    return this.run(tokens, "last");
  }

  /** Feeds one token to each of several sequences of a model in one pass; logits [vocabulary] after each. */
  static nextOfEach(members: readonly Member[]): Float32Array[] {
    const [first] = members;
    if (!first) return [];
    if (members.length === 1) return [first.sequence.next([first.token])];
    const layers = first.sequence.#layers;
    const held = members.map(({ sequence }) => sequence.#held);
    const tokens = Int32Array.from(members, ({ token }) => token);
    const input = () => layers.mlx.fromInt32(tokens, [tokens.length, 1]);
    const rows = runLayers(layers, held, { count: 1, wanted: "last", input });
    for (const { sequence, token } of members) sequence.#tokens.push(token);
    const size = rows.length / members.length;
    return members.map((_, row) => rows.subarray(row * size, (row + 1) * size));
  }

  /** Feeds the tokens; logits after each of them, row by row. */
  all(tokens: readonly number[]): Float32Array {
    return this.run(tokens, "all");
  }

  /** Feeds the tokens; what is wanted of them, row by row. */
  run(tokens: readonly number[], wanted: Wanted): Float32Array {
    const { mlx } = this.#layers;
    const input = () => mlx.fromInt32(Int32Array.from(tokens), [1, tokens.length]);
    const values = runLayers(this.#layers, [this.#held], { count: tokens.length, wanted, input });
    for (const token of tokens) this.#tokens.push(token);
    return values;
  }

  canCut(length: number): boolean {
    return this.#held.canCut(length);
  }

  cut(length: number): void {
    this.#held.cut(length);
    this.strides.cut(length);
    this.#tokens.length = length;
  }

  fork(length: number): Sequence {
    const { mlx, model } = this.#layers;
    const { caches } = this.#held.fork(length);
    return new Sequence(mlx, model, caches, this.#tokens.slice(0, length), this.strides.first(length));
  }

  dispose(): void {
    this.#held.dispose();
    this.strides.cut(0);
    this.#tokens.length = 0;
    this.#life++;
  }
}

/** A sequence and the token that is next in it. */
export interface Member {
  readonly sequence: Sequence;
  readonly token: number;
}
