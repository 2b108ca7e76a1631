/** One reader of the feed, and what it has not read yet. */

/** What a reader may leave unread: more than a whole home's events in a minute. */
export const UNREAD_MAX = 512;

/** An event as it is sent. Without an id it is no place to go on from. */
export interface Sent {
  readonly id?: string;
  readonly type: string;
  readonly data: object;
}

export class Subscriber {
  readonly #unread: Sent[] = [];
  #closed = false;
  #stir = () => {};

  /** A reader that falls too far behind is told so, and that is the last it is told. */
  tell(event: Sent): void {
    if (this.#closed) return;
    if (this.#unread.length >= UNREAD_MAX) {
      const missed = this.#unread.length + 1;
      this.#unread.length = 0;
      this.close("dropped", { reason: "too slow: events came faster than they were read", missed });
    } else {
      this.#unread.push(event);
      this.#stir();
    }
  }

  /** No more but a last event, if one is given. */
  close(type?: string, data: object = {}): void {
    if (this.#closed) return;
    if (type !== undefined) this.#unread.push({ type, data });
    this.#closed = true;
    this.#stir();
  }

  async *events(): AsyncGenerator<Sent> {
    for (;;) {
      const next = this.#unread.shift();
      if (next) yield next;
      else if (this.#closed) return;
      else await new Promise<void>((resolve) => (this.#stir = resolve));
    }
  }
}
