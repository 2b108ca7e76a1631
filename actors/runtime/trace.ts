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

type Noted = { -readonly [K in keyof TraceEntry]: TraceEntry[K] };

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
  /** Written over in place once the ring is full: an entry is noted twice for each message. */
  readonly #entries: Noted[] = [];
  readonly #kept: number;
  #next = 0;
  readonly #digests: boolean;
  readonly #names = new Map<string, number>();
  #count = 0;
  #low = 0x811c9dc5;
  #high = 0x01000193;

  constructor({ nowMs, entries = ENTRIES, digest = false }: TraceOptions) {
    this.#nowMs = nowMs;
    this.#kept = entries;
    this.#digests = digest;
  }

  note(kind: TraceKind, actor: string, peer: string, what: string): void {
    const ms = this.#nowMs();
    const place = this.#entries[this.#next];
    if (place === undefined) this.#entries.push({ ms, kind, actor, peer, what });
    else {
      place.ms = ms;
      place.kind = kind;
      place.actor = actor;
      place.peer = peer;
      place.what = what;
    }
    this.#next = this.#next + 1 === this.#kept ? 0 : this.#next + 1;
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
    const first = this.#entries.length < this.#kept ? 0 : this.#next;
    return [...this.#entries.slice(first), ...this.#entries.slice(0, first)].map((entry) => ({ ...entry }));
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
