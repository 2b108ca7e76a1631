/** Whose turn it is: actors with messages, in order of their first one. One microtask serves a whole burst. */

/** Does some of what waits; true when there is more. */
export interface Runnable {
  run(): boolean;
}

/** Turns in a row before sockets and timers run: about a millisecond of short messages. */
const TURNS_MAX = 64;

export class RunQueue {
  /** Lets sockets and timers run, then calls back. */
  readonly #yieldTo: (run: () => void) => void;
  #ready: Runnable[] = [];
  #scheduled = false;
  readonly #serve = () => this.#run();

  constructor(yieldTo: (run: () => void) => void) {
    this.#yieldTo = yieldTo;
  }

  add(runnable: Runnable): void {
    this.#ready.push(runnable);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#serve);
  }

  #run(): void {
    let turns = 0;
    while (this.#ready.length > 0 && turns < TURNS_MAX) {
      const ready = this.#ready;
      this.#ready = [];
      for (const runnable of ready) if (runnable.run()) this.#ready.push(runnable);
      turns += ready.length;
    }
    if (this.#ready.length > 0) this.#yieldTo(this.#serve);
    else this.#scheduled = false;
  }
}
