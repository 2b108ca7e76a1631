/**
 * What happened between actors: every message and every change of state, in one format for production and simulation. Names of
 * actors, messages and states only: no field of a message is ever kept, so that no prompt or key can be in it (T17).
 */

export type TraceKind =
  | "sent"
  | "handled"
  | "refused"
  | "dropped"
  | "late"
  | "spawned"
  | "ended"
  | "entered"
  | "linked"
  | "unlinked";

/** One line of a dump. `what` is a message's type, a state's name, or a reason's kind; `peer` is the other side, if there is one. */
export interface TraceEntry {
  readonly ms: number;
  readonly kind: TraceKind;
  readonly actor: string;
  readonly peer: string;
  readonly what: string;
}

export interface TraceOptions {
  readonly nowMs: () => number;
  /** Entries kept; older ones are overwritten. */
  readonly entries?: number;
  /** Also digest every entry, those no longer kept as well: two runs with one digest are the same run. */
  readonly digest?: boolean;
}

/** Some seconds of a busy node, and about a megabyte. */
const ENTRIES = 16_384;
/** Distinct names whose hash is remembered. */
const NAMES_MAX = 8192;

export class Trace {
  readonly #nowMs: () => number;
  readonly #entries: (TraceEntry | undefined)[];
  readonly #digests: boolean;
  readonly #names = new Map<string, number>();
  #count = 0;
  #low = 0x811c9dc5;
  #high = 0x01000193;

  constructor({ nowMs, entries = ENTRIES, digest = false }: TraceOptions) {
    this.#nowMs = nowMs;
    this.#entries = new Array<TraceEntry | undefined>(entries).fill(undefined);
    this.#digests = digest;
  }

  note(kind: TraceKind, actor: string, peer: string, what: string): void {
    const ms = this.#nowMs();
    this.#entries[this.#count % this.#entries.length] = { ms, kind, actor, peer, what };
    this.#count += 1;
    if (!this.#digests) return;
    this.#mix(ms * 1000);
    for (const name of [kind, actor, peer, what]) this.#mix(this.#hash(name));
  }

  /** Entries since the start, those no longer kept as well. */
  get count(): number {
    return this.#count;
  }

  /** What is kept, oldest first. */
  get entries(): readonly TraceEntry[] {
    const kept = Math.min(this.#count, this.#entries.length);
    const first = this.#count - kept;
    return Array.from({ length: kept }, (_, i) => this.#entries[(first + i) % this.#entries.length]).filter(
      (entry) => entry !== undefined,
    );
  }

  /** 64 bits in hex over every entry so far. */
  get digest(): string {
    return [this.#high, this.#low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** What is kept as JSON lines. */
  dump(): string {
    return this.entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
  }

  /** Two lanes of FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/) over whole words: for comparing runs, not for secrets. */
  #mix(word: number): void {
    this.#low = Math.imul(this.#low ^ word, 0x01000193);
    this.#high = Math.imul(this.#high ^ (word + (this.#low >>> 15)), 0x85ebca6b);
  }

  #hash(name: string): number {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    if (this.#names.size >= NAMES_MAX) this.#names.clear();
    let hash = 0x811c9dc5;
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
    this.#names.set(name, hash);
    return hash;
  }
}
