/** Waits for the home to be as somebody needs it. */
import type { Clock } from "#actors/runtime/clock";

export interface Around {
  readonly clock: Clock;
  /** Calls back when the home is another; the returned function ends that. */
  readonly changed: (run: () => void) => () => void;
}

/** What no change tells is seen so soon. */
const LOOK_EVERY_MS = 100;

/** Resolves when it is so, or the time is over. */
export async function until(around: Around, isSo: () => boolean, ms: number): Promise<void> {
  const untilMs = around.clock.nowMs() + ms;
  while (!isSo() && around.clock.nowMs() < untilMs) await change(around);
}

/** Resolves at the next change, and after a moment in any case. */
export async function change({ clock, changed }: Around): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const [cancel, end] = [clock.after(LOOK_EVERY_MS, resolve), changed(resolve)];
  await promise;
  cancel();
  end();
}

/** What comes of that work; undefined once it is so before. */
export async function unless<T>(
  { changed }: Pick<Around, "changed">,
  work: Promise<T>,
  isSo: () => boolean,
): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const end = changed(() => isSo() && resolve(undefined));
  return await Promise.race([work, promise]).finally(end);
}
