/** A bounded queue of one actor's messages, in order of arrival: a ring that doubles up to its limit, so that nothing is moved or made per message. */
export class Mailbox<T> {
  readonly limit: number;
  #ring: (T | undefined)[] = new Array(RING_MIN).fill(undefined);
  #mask = RING_MIN - 1;
  #head = 0;
  #size = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get size(): number {
    return this.#size;
  }

  /** False when full: the sender is told, and decides. */
  put(item: T): boolean {
    if (this.#size >= this.limit) return false;
    if (this.#size > this.#mask) this.#resize(this.#ring.length * 2);
    this.#ring[(this.#head + this.#size) & this.#mask] = item;
    this.#size += 1;
    return true;
  }

  take(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & this.#mask;
    this.#size -= 1;
    if (this.#size === 0 && this.#mask >= RING_KEPT) this.#resize(RING_MIN);
    return item;
  }

  #resize(length: number): void {
    const ring = new Array<T | undefined>(length).fill(undefined);
    for (let i = 0; i < this.#size; i++) ring[i] = this.#ring[(this.#head + i) & this.#mask];
    this.#ring = ring;
    this.#mask = length - 1;
    this.#head = 0;
  }
}

/** Powers of two: most actors have a message or two waiting, and a ring that once took a burst is given back. */
const RING_MIN = 16;
const RING_KEPT = 4096;
