/** YAML values that know where they stand, so that every fault can be named by line. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { Problem } from "#protocol/problem";
import { nearest } from "../nearest.ts";

/** One thing wrong with the file. */
export interface FileFault {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Thrown by readers, caught where the next key can still be read; `note` puts it on the list with its own place. */
class Misfit extends Error {
  readonly note: () => void;

  constructor(message: string, note: (message: string) => void) {
    super(message);
    this.note = () => note(message);
  }
}

/** What a reader makes of a value; throws through `Located.misfit`. */
export type Reader<T> = (at: Located) => T;
export type Fields = Readonly<Record<string, Reader<unknown>>>;
export type Read<F extends Fields> = {
  readonly [K in keyof F]?: F[K] extends Reader<infer T> ? T : never;
};

/** So many faults are shown: the first ones often cause the rest. */
const FAULTS_SHOWN = 10;

/** Reads a whole text by `reader`; throws one Problem that lists every fault with its line. */
export function readYaml<T>(text: string, path: string, reader: Reader<T>): T {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const faults: FileFault[] = document.errors.map(({ message, pos, code }) => ({
    ...place(pos[0]),
    message: code === "MULTIPLE_DOCS" ? "a second document begins here; one file is one benchmark" : message,
  }));
  const resolved = (node: Node | null): Node | null =>
    isAlias(node) ? ((node.resolve(document) as Node | undefined) ?? null) : node;
  const source: Source = { faults, place, resolved };
  const top = new Located(source, "", document.contents as Node | null);
  const value = faults.length === 0 ? top.attempt(reader) : undefined;
  if (faults.length > 0 || value === undefined) throw problemOf(path, faults);
  return value;
}

function problemOf(path: string, faults: readonly FileFault[]): Problem {
  const sorted = faults.toSorted((a, b) => a.line - b.line || a.column - b.column);
  const shown = sorted
    .slice(0, FAULTS_SHOWN)
    .map(({ line, column, message }) => `${path}:${line}:${column}: ${message}`);
  const more = sorted.length - shown.length;
  return new Problem("invalid", [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join("\n"), {
    remedy: sorted.length === 1 ? "correct that line" : "correct these lines",
  });
}

interface Source {
  readonly faults: FileFault[];
  place(offset: number): { line: number; column: number };
  resolved(node: Node | null): Node | null;
}

export class Located {
  /** The path of keys, as in `scenarios[0].load.rate`. */
  readonly name: string;
  readonly #node: Node | null;
  readonly #source: Source;

  constructor(source: Source, name: string, node: Node | null) {
    this.#source = source;
    this.name = name;
    this.#node = source.resolved(node);
  }

  get line(): number {
    return this.#source.place(this.#node?.range?.[0] ?? 0).line;
  }

  /** Text, number, boolean or null; undefined for a list or a map. */
  get scalar(): unknown {
    if (this.#node === null) return null;
    return isScalar(this.#node) ? this.#node.value : undefined;
  }

  get isMap(): boolean {
    return isMap(this.#node);
  }

  get isList(): boolean {
    return isSeq(this.#node);
  }

  /** The members of a list. */
  items(): readonly Located[] {
    if (!isSeq(this.#node)) throw this.misfit("must be a list");
    return this.#node.items.map((item, i) => new Located(this.#source, `${this.name}[${i}]`, item as Node));
  }

  /** The keys and values of a map, whatever the keys are. */
  entries(): readonly (readonly [string, Located])[] {
    if (!isMap(this.#node)) throw this.misfit("must be a map of keys");
    return this.#node.items.map(({ key, value }) => {
      const word = isScalar(key) ? String(key.value) : "";
      const node = (value ?? key) as Node;
      return [word, new Located(this.#source, this.#path(word), value === null ? null : node)];
    });
  }

  /** Whether a map says it, right or wrong. */
  has(word: string): boolean {
    return this.entries().some(([key]) => key === word);
  }

  /** A map of known keys; a fault in one does not keep the others from being read. */
  fields<F extends Fields>(fields: F): Read<F> {
    const read: Record<string, unknown> = {};
    for (const [word, value] of this.entries()) {
      // `constructor` is no key of ours, though every object has one.
      const reader = Object.hasOwn(fields, word) ? fields[word] : undefined;
      if (!reader) {
        this.#unknown(word, Object.keys(fields));
        continue;
      }
      const made = value.attempt(reader);
      if (made !== undefined) read[word] = made;
    }
    return read as Read<F>;
  }

  /** The reader's value, or undefined with the fault noted. */
  attempt<T>(reader: Reader<T>): T | undefined {
    try {
      return reader(this);
    } catch (error) {
      if (!(error instanceof Misfit)) throw error;
      error.note();
      return undefined;
    }
  }

  /** The error to throw when this value cannot be taken. */
  misfit(what: string): Error {
    const message = this.name === "" ? `the file ${what}` : `${this.name} ${what}`;
    return new Misfit(message, (fault) => this.#note(this.#node, fault));
  }

  #unknown(word: string, known: readonly string[]): void {
    const near = nearest(word, known);
    const guess = near === undefined ? `; known are ${known.join(", ")}` : `; did you mean ${near}?`;
    const map = this.#node;
    const key = isMap(map)
      ? map.items.find((item) => isScalar(item.key) && item.key.value === word)?.key
      : null;
    this.#note((key as Node | null | undefined) ?? map, `${this.#path(word)} is not known${guess}`);
  }

  #note(node: Node | null, message: string): void {
    this.#source.faults.push({ ...this.#source.place(node?.range?.[0] ?? 0), message });
  }

  #path(word: string): string {
    return this.name === "" ? word : `${this.name}.${word}`;
  }
}
