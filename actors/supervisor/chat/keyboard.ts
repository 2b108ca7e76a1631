/** Stdin in raw mode as a queue of keys, and its way back. */
import type { Clock } from "#actors/runtime/clock";
import { ESCAPE_WAIT_MS, type Key, KeyReader, PASTE_OFF, PASTE_ON } from "./keys.ts";

export interface Keyboard {
  /** The next key; undefined once stdin is closed or `signal` aborted. */
  next(): Promise<Key | undefined>;
  /** While set, keys go there instead of the queue unless it returns false; first those that nobody has read yet. */
  intercept(take: ((key: Key) => boolean) | undefined): void;
  close(): void;
}

/** Keys typed ahead of the next prompt; a stuck key must not fill memory. */
const QUEUE_MAX = 100_000;

export function openKeyboard(clock: Clock, signal: AbortSignal): Keyboard {
  const { stdin, stdout } = process;
  const reader = new KeyReader();
  const queue: Key[] = [];
  let closed = signal.aborted;
  let wake = () => {};
  let take: ((key: Key) => boolean) | undefined;
  let cancel = () => {};

  const arrived = (keys: readonly Key[]) => {
    for (const key of keys) if (!take?.(key) && queue.length < QUEUE_MAX) queue.push(key);
    wake();
  };
  const onData = (bytes: Uint8Array) => {
    cancel();
    arrived(reader.push(bytes));
    if (reader.waits) cancel = clock.after(ESCAPE_WAIT_MS, () => arrived(reader.settle()));
  };
  const onEnd = () => {
    closed = true;
    wake();
  };
  const restore = () => {
    stdin.setRawMode(false);
    stdout.write(PASTE_OFF);
  };

  stdin.setRawMode(true);
  stdout.write(PASTE_ON);
  stdin.on("data", onData);
  stdin.on("end", onEnd);
  signal.addEventListener("abort", onEnd, { once: true });
  process.once("exit", restore);

  return {
    async next() {
      for (;;) {
        const key = queue.shift();
        if (key || closed) return key;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
    intercept(takes) {
      take = takes;
      if (takes) queue.splice(0, queue.length, ...queue.filter((key) => !takes(key)));
    },
    close() {
      cancel();
      stdin.off("data", onData);
      stdin.off("end", onEnd);
      signal.removeEventListener("abort", onEnd);
      process.off("exit", restore);
      restore();
      stdin.pause();
    },
  };
}
