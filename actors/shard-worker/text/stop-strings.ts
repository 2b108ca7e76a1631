/** Finds stop strings in a stream of text and holds back what might begin one. */

/** Text that may be shown, and the stop string that ended it, if one did. */
export interface StopStep {
  readonly text: string;
  readonly stopped?: string;
}

/** One stop string and how much of it the text seen so far ends with (Knuth, Morris and Pratt 1977). */
class Watch {
  readonly stop: string;
  /** For each length: the longest shorter start of the stop string that such a match also ends with. */
  readonly #shorter: Int32Array;
  matched = 0;

  constructor(stop: string) {
    this.stop = stop;
    this.#shorter = new Int32Array(stop.length + 1);
    this.#shorter[0] = -1;
    for (let length = 1; length <= stop.length; length++) {
      this.#shorter[length] = this.#after(this.#shorter[length - 1] ?? -1, stop.charCodeAt(length - 1));
    }
  }

  /** Whether this UTF-16 unit completes the stop string. */
  see(unit: number): boolean {
    this.matched = this.#after(this.matched, unit);
    return this.matched === this.stop.length;
  }

  #after(from: number, unit: number): number {
    let length = from;
    while (length >= 0 && this.stop.charCodeAt(length) !== unit) length = this.#shorter[length] ?? -1;
    return length + 1;
  }
}

/**
 * The stop string that is complete first ends the text, whatever pieces the text comes in; of several complete at the
 * same place the longest does. The stop string itself is not given out. Time is linear in text times stop strings.
 */
export class StopStrings {
  readonly #watches: readonly Watch[];
  #held = "";
  #done = false;

  /** Empty strings are left out: they would stop before the first character. */
  constructor(stops: readonly string[]) {
    this.#watches = stops.filter((stop) => stop !== "").map((stop) => new Watch(stop));
  }

  /** Nothing is given out any more once a stop string was found. */
  push(text: string): StopStep {
    if (this.#done) return { text: "" };
    if (this.#watches.length === 0) return { text };
    const pending = this.#held + text;
    for (let at = this.#held.length; at < pending.length; at++) {
      const stopped = this.#completedBy(pending.charCodeAt(at));
      if (stopped === undefined) continue;
      this.#done = true;
      this.#held = "";
      return { text: pending.slice(0, at + 1 - stopped.length), stopped };
    }
    const hold = Math.max(...this.#watches.map(({ matched }) => matched));
    this.#held = pending.slice(pending.length - hold);
    return { text: pending.slice(0, pending.length - hold) };
  }

  /** What was held back: the text ended before it became a stop string. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    this.#done = true;
    return held;
  }

  #completedBy(unit: number): string | undefined {
    let longest: string | undefined;
    for (const watch of this.#watches) {
      if (watch.see(unit) && watch.stop.length > (longest?.length ?? 0)) longest = watch.stop;
    }
    return longest;
  }
}
