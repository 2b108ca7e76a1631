/** Virtual time: a heap of timers and a clock that jumps from one to the next. The same seed gives the same order. */
import { drainMicrotasks } from "bun:jsc";
import type { Clock } from "#actors/runtime/clock";
import { underWay } from "#actors/runtime/security/steps";

interface Timer {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

export class VirtualTime {
  nowMs = 0;
  #order = 0;
  readonly #heap: Timer[] = [];

  after(ms: number, run: () => void): () => void {
    const timer: Timer = { atMs: this.nowMs + Math.max(0, ms), order: this.#order++, run };
    this.#push(timer);
    return () => {
      timer.run = undefined;
    };
  }

  /** A node's own clock: `skew` parts per million fast, its ids from `random`. */
  clock(random: () => number): Clock {
    return {
      nowMs: () => this.nowMs,
      epochSeconds: () => 1_800_000_000 + Math.floor(this.nowMs / 1000),
      after: (ms, run) => this.after(ms, run),
      freshId: () =>
        Math.floor(random() * 2 ** 48)
          .toString(16)
          .padStart(12, "0"),
    };
  }

  /** Timers fire in order until then; what each brings about is settled, promises included, before the next. */
  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    drainMicrotasks();
    for (let next = this.#pop(endMs); next; next = this.#pop(endMs)) {
      this.nowMs = next.atMs;
      next.run?.();
      drainMicrotasks();
      // What other threads do takes no time here, so that one seed has one history.
      while (underWay.size > 0) await new Promise((resolve) => setImmediate(resolve));
    }
    this.nowMs = endMs;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Timer;
      if (!before(timer, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = timer;
  }

  /** The next timer that is due by `endMs` and was not cancelled. */
  #pop(endMs: number): Timer | undefined {
    for (let top = this.#heap[0]; top && top.atMs <= endMs; top = this.#heap[0]) {
      this.#removeTop();
      if (top.run) return top;
    }
    return undefined;
  }

  #removeTop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Timer;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let least = left;
      if (right < heap.length && before(heap[right] as Timer, heap[left] as Timer)) least = right;
      if (least >= heap.length || !before(heap[least] as Timer, last)) break;
      heap[at] = heap[least] as Timer;
      at = least;
    }
    heap[at] = last;
  }
}

const before = (a: Timer, b: Timer): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
