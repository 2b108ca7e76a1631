/** Stand-ins for tests of the token loop: a model that follows a rule, and a tokenizer of letters. */
import type { Mlx, MxArray } from "#ffi/array";
import { createShapes } from "#ffi/shapes";
import type { Prompt } from "#protocol/generation";
import type { Cache } from "../cache/cache.ts";
import type { Model, Wanted } from "../models/model.ts";
import { StopStrings } from "../text/stop-strings.ts";
import type { TextPort } from "./text-port.ts";

/** Remembers tokens in place of keys and values, so that a wrong reuse shows. */
class FakeCache implements Cache {
  tokens: number[];
  readonly trimmable: boolean;

  constructor(trimmable: boolean, tokens: readonly number[] = []) {
    this.trimmable = trimmable;
    this.tokens = [...tokens];
  }
  get offset(): number {
    return this.tokens.length;
  }
  get nbytes(): number {
    return this.tokens.length;
  }
  arrays(): readonly MxArray[] {
    return [];
  }
  mask(): "none" {
    return "none";
  }
  update(): never {
    throw new Error("the fake model has no attention");
  }
  append(): never {
    return this.update();
  }
  canTrim(count: number): boolean {
    return count === 0 || (this.trimmable && count <= this.tokens.length);
  }
  trim(count: number): void {
    this.tokens.length -= count;
  }
  fork(length: number): FakeCache {
    return new FakeCache(this.trimmable, this.tokens.slice(0, length));
  }
  dispose(): void {
    this.tokens = [];
  }
}

export const VOCABULARY = 32;
export const END = 26;
const LOGIT = 8;

export interface FakeOptions {
  /** The token that the model holds to come next; it throws what the rule throws; NaN makes all logits such. */
  readonly next: (tokens: readonly number[]) => number;
  readonly trimmable?: boolean;
  /** What the caches keep of a token that went through with `rows - 1` others: what `next` is given; the token where not said. */
  readonly kept?: (token: number, rows: number) => number;
  readonly contextLength?: number;
  /** Hears of each run before it is computed: for clocks that the model moves. */
  readonly onRun?: (tokens: number, wanted: Wanted | "each") => void;
}

/** A model, its device, and the runs it was asked for: how many tokens, and for what. */
export function fakeModel(options: FakeOptions) {
  const { next, trimmable = true, kept = (token) => token, contextLength = 4096, onRun } = options;
  const runs: `${number} ${Wanted | "each"}`[] = [];
  let fed: readonly number[] = [];
  const shapes = createShapes();
  const mlx: Mlx = {
    ...bound(shapes),
    fromInt32(values, shape) {
      fed = [...values];
      return shapes.fromInt32(values, shape);
    },
  };
  const model: Model = {
    range: { start: 0, end: 1 },
    layers: 1,
    vocabularySize: VOCABULARY,
    hiddenSize: 1,
    dtype: "float32",
    contextLength,
    caches: () => [new FakeCache(trimmable)],
    forward(_input, [cache], wanted) {
      if (!(cache instanceof FakeCache)) throw new Error("not a cache of the fake model");
      runs.push(`${fed.length} ${wanted}`);
      onRun?.(fed.length, wanted);
      const rows = fed.map((token) => {
        cache.tokens.push(kept(token, fed.length));
        return wanted === "hidden" ? [] : logitsFor(next(cache.tokens));
      });
      const values = Float32Array.from(wanted === "last" ? (rows.at(-1) ?? []) : rows.flat());
      return { toFloat32: () => values } as MxArray;
    },
    decode(_input, sequences) {
      runs.push(`${fed.length} each`);
      onRun?.(fed.length, "each");
      const rows = sequences.map(([cache], row) => {
        if (!(cache instanceof FakeCache)) throw new Error("not a cache of the fake model");
        cache.tokens.push(kept(fed[row] ?? 0, 1));
        return logitsFor(next(cache.tokens));
      });
      const values = Float32Array.from(rows.flat());
      return { toFloat32: () => values } as MxArray;
    },
  };
  return { mlx, model, runs };
}

const logitsFor = (token: number): number[] =>
  Array.from({ length: VOCABULARY }, (_, id) => (id === token ? LOGIT : Number.isNaN(token) ? token : 0));

/** Methods that work without their object, so that one of them can be replaced. */
function bound(mlx: Mlx): Mlx {
  return new Proxy(mlx, {
    ownKeys: (target) =>
      Reflect.ownKeys(Object.getPrototypeOf(target)).filter((key) => key !== "constructor"),
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    get: (target, key) => {
      const member: unknown = Reflect.get(target, key, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

export const idOf = (letter: string): number => letter.charCodeAt(0) - 97;
const letterOf = (id: number): string => String.fromCharCode(97 + id);

/** Token i is the i-th letter; 26 ends; 27 begins and 28 completes an é. */
export const letters: TextPort = {
  encode(prompt: Prompt) {
    if (prompt.type === "tokens") return prompt.tokens;
    if (prompt.type === "text") return [...prompt.text].map(idOf);
    return prompt.messages.flatMap(({ content }) => [...content].map(idOf));
  },
  endTokens: new Set([END]),
  detokenizer() {
    let half = false;
    return {
      push(id) {
        if (id === 27) half = true;
        if (id === 28) half = false;
        return id < END ? letterOf(id) : id === 28 ? "é" : "";
      },
      flush: () => (half ? "\ufffd" : ""),
    };
  },
  tokenText: (id) => ({ text: letterOf(id), bytes: [97 + id] }),
  stops: (strings) => new StopStrings(strings),
};
