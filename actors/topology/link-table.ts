/**
 * What this node knows of its links, and which it should measure next: plain state and rules, no clock and no wire. Latency is the
 * median of the last small messages; bandwidth is measured once for each address, by one short burst at a time.
 */
import type { NodeId } from "#protocol/ids";
import type { LinkFacts } from "#protocol/node";
import type { Exit } from "./exit.ts";

/** The addresses of both ends, of this one where it is known: another pair is another way, to be measured anew. */
export interface Way {
  readonly remote: string;
  readonly local?: string;
}

interface Entry {
  way: Way;
  up: boolean;
  samplesMs: number[];
  bytesPerSecond?: number;
  measuredAt?: number;
  /** When a burst is due; undefined: none is. */
  dueMs: number | undefined;
  refusals: number;
  /** Somebody waits for it: it goes first. */
  wanted: boolean;
}

/** A minute of samples at one each twelve seconds: one slow answer moves nothing. */
const SAMPLES = 5;
/** A new link first carries what it was opened for. */
const SETTLE_MS = 2000;
/** The two ends of a link begin at different times, so that they rarely ask each other at once. */
const TURN_MS = 1000;
const AGAIN_FIRST_MS = 4000;
const AGAIN_LAST_MS = 300_000;
/** Somebody waits: the peer may only have been in another measurement, which takes a quarter of a second. */
const WANTED_TRIES = 5;
const WANTED_AGAIN_MS = 300;
/** Members, and some that were. */
const ENTRIES_MAX = 512;

export class LinkTable {
  readonly #self: NodeId;
  readonly #entries = new Map<NodeId, Entry>();

  constructor(self: NodeId) {
    this.#self = self;
  }

  /** A link is open. The way's bandwidth is kept if it was measured before. */
  up(node: NodeId, way: Way, nowMs: number): void {
    const known = this.#entries.get(node);
    const same = known && known.way.remote === way.remote && known.way.local === way.local;
    const dueMs = nowMs + SETTLE_MS + (this.#self > node ? TURN_MS : 0);
    if (same) {
      known.up = true;
      known.way = way;
      if (known.bytesPerSecond === undefined) known.dueMs = dueMs;
      return;
    }
    if (!known && this.#entries.size >= ENTRIES_MAX) this.#entries.delete(this.#firstDown() ?? node);
    this.#entries.set(node, { way, up: true, samplesMs: [], dueMs, refusals: 0, wanted: false });
  }

  down(node: NodeId): void {
    const entry = this.#entries.get(node);
    if (!entry) return;
    entry.up = false;
    entry.wanted = false;
    entry.samplesMs = [];
  }

  forget(node: NodeId): void {
    this.#entries.delete(node);
  }

  get nodes(): readonly NodeId[] {
    return [...this.#entries].flatMap(([node, { up }]) => (up ? [node] : []));
  }

  answered(node: NodeId, roundTripMs: number): void {
    const entry = this.#entries.get(node);
    if (entry?.up) entry.samplesMs = [...entry.samplesMs.slice(1 - SAMPLES), Math.max(0, roundTripMs)];
  }

  /** Every link is to be measured now, whatever was refused before. */
  want(nowMs: number): void {
    for (const entry of this.#entries.values()) {
      if (!entry.up) continue;
      entry.dueMs = nowMs;
      entry.refusals = 0;
      entry.wanted = true;
    }
  }

  get wanted(): boolean {
    return [...this.#entries.values()].some(({ up, wanted }) => up && wanted);
  }

  /** The next link to measure and when; a link that somebody waits for goes first, then the one that waits longest. */
  next(): { readonly node: NodeId; readonly dueMs: number } | undefined {
    let best: { node: NodeId; dueMs: number; wanted: boolean } | undefined;
    for (const [node, { up, dueMs, wanted }] of this.#entries) {
      if (!up || dueMs === undefined) continue;
      if (!best || (wanted && !best.wanted) || (wanted === best.wanted && dueMs < best.dueMs))
        best = { node, dueMs, wanted };
    }
    return best;
  }

  /** A burst told how fast the link is. */
  measured(node: NodeId, bytesPerSecond: number, epochSeconds: number): void {
    const entry = this.#entries.get(node);
    if (!entry) return;
    entry.bytesPerSecond = bytesPerSecond;
    entry.measuredAt = epochSeconds;
    entry.dueMs = undefined;
    entry.refusals = 0;
    entry.wanted = false;
  }

  /** One of the two works, or the burst failed: later again, each time later. */
  refused(node: NodeId, nowMs: number): void {
    const entry = this.#entries.get(node);
    if (!entry) return;
    const { refusals } = entry;
    entry.refusals = Math.min(16, refusals + 1);
    entry.wanted &&= refusals < WANTED_TRIES;
    const waitMs = Math.min(AGAIN_LAST_MS, AGAIN_FIRST_MS * 2 ** refusals);
    entry.dueMs = nowMs + (entry.wanted ? WANTED_AGAIN_MS : waitMs + (this.#self > node ? TURN_MS : 0));
  }

  /** Open links, in the order of their ids; `exitOf` knows by which interface a way leaves this machine. */
  facts(exitOf: (way: Way) => Exit): LinkFacts[] {
    return [...this.#entries]
      .filter(([, { up }]) => up)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([to, { way, samplesMs, bytesPerSecond, measuredAt }]) => {
        const latencyMs = median(samplesMs);
        return {
          to,
          ...exitOf(way),
          ...(latencyMs !== undefined && { latencyMs }),
          ...(bytesPerSecond !== undefined && { bytesPerSecond }),
          ...(measuredAt !== undefined && { measuredAt }),
        };
      });
  }

  #firstDown(): NodeId | undefined {
    for (const [node, { up }] of this.#entries) if (!up) return node;
    return undefined;
  }
}

/** Milliseconds to the hundredth: what is finer is noise. */
function median(samples: readonly number[]): number | undefined {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted[(sorted.length - 1) >> 1];
  return middle === undefined ? undefined : Math.round(100 * middle) / 100;
}
