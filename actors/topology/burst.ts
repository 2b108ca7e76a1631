/**
 * How fast a link is: one side sends a short burst of bytes on a data link of its own, the other counts. At most 4 MiB or 200 ms,
 * whichever is first, and the rate is taken from the second half, when the stream has found its speed.
 */
import type { Clock } from "#actors/runtime/clock";
import type { Link } from "#actors/runtime/transport/network";
import type { Address } from "#protocol/ids";
import { Topology } from "#protocol/topology";

export const BURST_BYTES_MAX = 4 * 1024 * 1024;
export const BURST_MS = 200;
/** Small enough that some come within the time on a link of 2 Mbit/s. */
const PART_BYTES = 16 * 1024;
/** Bytes that may wait at this end; grows while the link takes them all, so that a slow link is not clogged for long. */
const WINDOW_FIRST_BYTES = 8 * PART_BYTES;
const WINDOW_LAST_BYTES = 2 * 1024 * 1024;
const LOOK_AGAIN_MS = 1;

/** Sends what a burst may send; resolves when the last byte is handed to the link, or time is over. */
export function sendBurst(
  { clock, link }: { readonly clock: Clock; readonly link: Link },
  { burst, from, to }: { readonly burst: string; readonly from: Address; readonly to: Address },
): Promise<void> {
  const part = new Uint8Array(PART_BYTES);
  // Zeros could be packed on their way by some tunnel.
  for (let at = 0; at < part.length; at++) part[at] = (at * 167 + (at >> 8) * 59) & 255;
  const envelope = { to, from, message: Topology.BurstPart({ burst }) };
  const endMs = clock.nowMs() + BURST_MS;
  let sent = 0;
  let window = WINDOW_FIRST_BYTES;
  const { promise, resolve } = Promise.withResolvers<void>();
  const turn = () => {
    if (sent > 0 && link.waitingBytes === 0) window = Math.min(WINDOW_LAST_BYTES, 2 * window);
    for (let filled = link.waitingBytes; filled < window && sent < BURST_BYTES_MAX; filled += PART_BYTES) {
      if (!link.sendBody(envelope, part)) break;
      sent += PART_BYTES;
    }
    const done = sent >= BURST_BYTES_MAX && link.waitingBytes === 0;
    if (done || clock.nowMs() >= endMs) resolve();
    else clock.after(LOOK_AGAIN_MS, turn);
  };
  turn();
  return promise;
}

/** What came of one burst. */
export class BurstCount {
  readonly #arrivals: { readonly bytes: number; readonly atMs: number }[] = [];
  bytes = 0;

  /** False: more than a burst may have. */
  add(bytes: number, atMs: number): boolean {
    this.bytes += bytes;
    if (this.bytes > BURST_BYTES_MAX) return false;
    this.#arrivals.push({ bytes: this.bytes, atMs });
    return true;
  }

  /** Over the second half of the bytes; undefined where they came all at once. */
  get bytesPerSecond(): number | undefined {
    const last = this.#arrivals.at(-1);
    if (!last) return undefined;
    const half = this.#arrivals.find(({ bytes }) => bytes >= last.bytes / 2);
    const first = half && half.atMs < last.atMs ? half : this.#arrivals[0];
    if (!first || last.atMs <= first.atMs) return undefined;
    return Math.round((1000 * (last.bytes - first.bytes)) / (last.atMs - first.atMs));
  }
}
