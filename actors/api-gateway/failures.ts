/** Who showed wrong keys of late, and how long it has to wait. */
import { FAILING_MAX, FAILURES_MAX, FAILURES_MS } from "./limits.ts";

interface Bout {
  readonly sinceMs: number;
  readonly count: number;
}

/** Ten failures within a minute of the first; then whoever it is waits for that minute to end. */
export class Failures {
  readonly #bouts = new Map<string, Bout>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Milliseconds until keys of this client are looked at again; 0: they are. */
  waitMs(client: string): number {
    const bout = this.#running(client);
    return bout && bout.count >= FAILURES_MAX ? bout.sinceMs + FAILURES_MS - this.#nowMs() : 0;
  }

  count(client: string): void {
    const { sinceMs, count } = this.#running(client) ?? { sinceMs: this.#nowMs(), count: 0 };
    this.#bouts.delete(client);
    this.#bouts.set(client, { sinceMs, count: count + 1 });
    if (this.#bouts.size > FAILING_MAX) this.#forgetOldest();
  }

  #running(client: string): Bout | undefined {
    const bout = this.#bouts.get(client);
    if (!bout || this.#nowMs() - bout.sinceMs < FAILURES_MS) return bout;
    this.#bouts.delete(client);
    return undefined;
  }

  #forgetOldest(): void {
    const { value } = this.#bouts.keys().next();
    if (value !== undefined) this.#bouts.delete(value);
  }
}
