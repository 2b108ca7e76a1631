/** A bounded queue of one actor's messages, in order of arrival. Full means refuse, never grow. */
export class Mailbox<T> {
  #items: (T | undefined)[] = [];
  #head = 0;
  readonly limit: number;

  constructor(limit: number) {
    this.limit = limit;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  /** False when full: the sender is told, and decides. */
  put(item: T): boolean {
    if (this.size >= this.limit) return false;
    this.#items.push(item);
    return true;
  }

  take(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length || this.#head > COMPACT_AT) this.#compact();
    return item;
  }

  #compact(): void {
    this.#items.splice(0, this.#head);
    this.#head = 0;
  }
}

/** Taken slots are given back in one move rather than one by one. */
const COMPACT_AT = 1024;
