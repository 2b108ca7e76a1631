/** Frames as server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html */
import type { Frame } from "./dialects/dialect.ts";

/** Proxies and clients cut a silent connection, some after 15 s. */
const KEEP_ALIVE_MS = 8_000;
/** A reader that is slower than the model holds this many characters, then no more is worded for it. */
const UNREAD_CHARS_MAX = 256 * 1024;

const KEEP_ALIVE = ": keep-alive\n\n";

interface Options<Item> {
  after(ms: number, run: () => void): () => void;
  /** The client has gone. */
  cancelled(): void;
  /** The last byte was written, or the client has gone: once, in either case. */
  over?(): void;
  /** How one item is written; by default as data alone. */
  worded?(item: Item): string;
}

/**
 * All records of one tick travel in one write, which is most of the cost of an event. `frames` must not throw: what goes
 * wrong is a frame too.
 */
export function eventStream<Item = Frame>(
  frames: AsyncIterable<Item>,
  { after, cancelled, over = () => {}, worded = asData }: Options<Item>,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let unread = "";
  let ended = false;
  let stir = () => {};
  let drained = () => {};

  async function pump(): Promise<void> {
    for await (const frame of frames) {
      unread += worded(frame);
      stir();
      if (unread.length > UNREAD_CHARS_MAX && !ended)
        await new Promise<void>((resolve) => (drained = resolve));
      if (ended) return;
    }
    ended = true;
    stir();
  }

  /** Waits for something to send, and says a word of comfort when nothing comes. */
  async function filled(): Promise<void> {
    if (unread !== "" || ended) return;
    const stirred = new Promise<void>((resolve) => (stir = resolve));
    const cancelTimer = after(KEEP_ALIVE_MS, () => {
      unread ||= KEEP_ALIVE;
      stir();
    });
    await stirred;
    cancelTimer();
  }

  return new ReadableStream(
    {
      start: (controller) => {
        pump().catch((error: unknown) => controller.error(error)); // cuts this connection, and nothing else
      },
      async pull(controller) {
        await filled();
        await endOfTick();
        if (unread !== "") controller.enqueue(encoder.encode(unread));
        unread = "";
        drained();
        if (!ended) return;
        over();
        controller.close();
      },
      cancel() {
        ended = true;
        drained();
        stir();
        cancelled();
        over();
      },
    },
    { highWaterMark: 0 },
  );
}

const asData = (frame: unknown): string =>
  `data: ${typeof frame === "string" ? frame : JSON.stringify(frame)}\n\n`;

const endOfTick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
