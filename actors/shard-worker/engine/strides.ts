/** How the tokens of a sequence went through the model: tokens that go the same way again leave the same bits. */
import type { Stride } from "#protocol/generation";
import { MANY_TOKENS } from "../models/rows-alike.ts";

/** What is to be computed together next. */
export interface Step {
  /** Tokens of the pass. */
  readonly rows: number;
  /** One at a time; so are all until `until`. */
  readonly isSingle: boolean;
  /** Where the pass ends, or as many of the same kind as follow each other: where many tokens are cut may leave no trace. */
  readonly until: number;
}

/** Where passes of one length begin and end. */
interface Span {
  readonly rows: number;
  readonly start: number;
  readonly end: number;
}

export class Strides {
  readonly #list: Stride[];

  constructor(list: readonly Stride[] = []) {
    this.#list = list.map((stride) => ({ ...stride }));
  }

  /** In order; not to be changed. */
  get list(): readonly Stride[] {
    return this.#list;
  }

  /** Tokens of all of them. */
  get length(): number {
    return this.#list.reduce((sum, { rows, times }) => sum + rows * times, 0);
  }

  /** So many tokens more went through the model at once, `times` times. */
  add(rows: number, times = 1): void {
    if (rows <= 0 || times <= 0) return;
    const last = this.#list.at(-1);
    if (last?.rows === rows) this.#list[this.#list.length - 1] = { rows, times: last.times + times };
    else this.#list.push({ rows, times });
  }

  /** Those of the first `length` tokens: what is left of many counts among many, if there were some before them. */
  first(length: number): Strides {
    const made = new Strides();
    for (const { rows, start, end } of this.#spans()) {
      const left = Math.max(0, Math.min(length, end) - start);
      made.add(rows, Math.floor(left / rows));
      made.#addPart(left % rows, rows);
    }
    return made;
  }

  #addPart(part: number, of: number): void {
    const last = this.#list.at(-1);
    if (part === 0 || part >= MANY_TOKENS || of < MANY_TOKENS || !last || last.rows < MANY_TOKENS) {
      this.add(part);
      return;
    }
    this.#list.splice(-1, 1);
    this.add(last.rows, last.times - 1);
    this.add(last.rows + part);
  }

  cut(length: number): void {
    this.#list.splice(0, this.#list.length, ...this.first(length).list);
  }

  /** What goes through the model from `position` on; nothing beyond the end. */
  at(position: number): Step | undefined {
    const [span, ...next] = this.#spans().filter(({ end }) => end > position);
    if (!span) return undefined;
    const isSingle = span.rows === 1;
    const rows = span.rows - ((position - span.start) % span.rows);
    if (isFew(span)) return { rows, isSingle, until: position + rows };
    const other = next.findIndex((each) => isFew(each) || (each.rows === 1) !== isSingle);
    const last = (other < 0 ? next : next.slice(0, other)).at(-1) ?? span;
    return { rows, isSingle, until: last.end };
  }

  /**
   * The last place up to `position` where they may be cut, so that what is before it can go through once more by itself: between two
   * passes, or if `chunksAlike` where many tokens are left of many.
   */
  cutAt(position: number, chunksAlike: boolean): number {
    const spans = this.#spans();
    const at = spans.findIndex(({ end }) => end > position);
    const span = spans[at];
    if (!span) return position;
    if (isFew(span) || !chunksAlike) return position - ((position - span.start) % span.rows);
    if (span.rows === 1) return position;
    const before = spans.slice(0, at).findLast(({ rows }) => rows < MANY_TOKENS);
    const start = before?.end ?? 0;
    return position - start < MANY_TOKENS ? start : position;
  }

  #spans(): readonly Span[] {
    let end = 0;
    return this.#list.map(({ rows, times }) => {
      const start = end;
      end += rows * times;
      return { rows, start, end };
    });
  }

  /** Tokens that went the same way in both from the first on; `chunksAlike`: where many are cut makes no difference. */
  inCommon(other: Strides, chunksAlike: boolean): number {
    let count = 0;
    for (;;) {
      const [mine, theirs] = [this.at(count), other.at(count)];
      if (!mine || !theirs || mine.isSingle !== theirs.isSingle) return count;
      const isFree = mine.isSingle || (chunksAlike && isMany(mine, count) && isMany(theirs, count));
      if (!isFree && mine.rows !== theirs.rows) return count;
      count = isFree ? Math.min(mine.until, theirs.until) : count + mine.rows;
    }
  }

  /** `position`, or less where it leaves few of many tokens that were computed together. */
  fewerAt(position: number): number {
    const span = this.#spans().find(({ end }) => end > position);
    const until = this.at(position)?.until ?? position;
    if (!span || span.rows < MANY_TOKENS || until - position >= MANY_TOKENS) return position;
    return until - MANY_TOKENS;
  }

  /** Whether whoever is given these tokens alone computes them so; `chunksAlike` as above. */
  isUsual(chunksAlike: boolean): boolean {
    const [first, second] = this.#list;
    if (!first || (!second && first.times === 1 && first.rows < MANY_TOKENS)) return true;
    return chunksAlike && this.#list.every(({ rows }) => rows >= MANY_TOKENS);
  }
}

const isFew = ({ rows }: Span): boolean => rows > 1 && rows < MANY_TOKENS;
const isMany = ({ until }: Step, position: number): boolean => until - position >= MANY_TOKENS;
