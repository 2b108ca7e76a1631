/** What a test sees of an error: a Problem's words with the test's folder left out, or that it was no Problem. */
import { Problem } from "#protocol/problem";

export function refusal(work: () => unknown, folder = ""): string {
  try {
    work();
    return "no problem";
  } catch (error) {
    if (!(error instanceof Problem)) return `not a Problem: ${error instanceof Error ? error.stack : error}`;
    return `${error.kind}: ${error.message}`.replaceAll(`${folder}/`, "");
  }
}

/** A small generator of 32-bit numbers (mulberry32), so that a seed replays a test. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** The bytes with one to four of them changed, removed or put in, in the first `within`. */
export function mutated(bytes: Uint8Array, random: () => number, within = bytes.length): Uint8Array {
  let changed = Buffer.from(bytes);
  for (let changes = 1 + (random() % 4); changes > 0; changes--) {
    const at = random() % Math.min(within, changed.length);
    const kind = random() % 6;
    const [before, after] = [changed.subarray(0, at), changed.subarray(at + 1)];
    if (kind === 0) changed = Buffer.concat([before, after]);
    else if (kind === 1)
      changed = Buffer.concat([before, Uint8Array.of(random() & 255), changed.subarray(at)]);
    else changed[at] = kind === 2 ? 255 : random() & 255;
  }
  return changed;
}
