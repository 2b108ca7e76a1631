/** Bytes that are nearly right, and bytes that are not: all from one generator of numbers. */

type Random = () => number;
type Bytes = Uint8Array<ArrayBuffer>;

/** Values that lengths and counters are wrong by. */
const EDGES = [
  0x00, 0x01, 0x7f, 0x80, 0x90, 0xa0, 0xbf, 0xc1, 0xc6, 0xcb, 0xcf, 0xdb, 0xdd, 0xdf, 0xfe, 0xff,
];
const NOISE_MAX = 600;
const EDITS_MAX = 4;

const below = (random: Random, limit: number): number => Math.floor(random() * limit);

/** One of the seeds with a few edits, or, once in eight, noise. */
export function mutated(seeds: readonly Uint8Array[], random: Random): Uint8Array {
  if (random() < 0.125)
    return Uint8Array.from({ length: below(random, NOISE_MAX) }, () => below(random, 256));
  let bytes = Uint8Array.from(seeds[below(random, seeds.length)] ?? []);
  for (let edits = 1 + below(random, EDITS_MAX); edits > 0; edits--) bytes = edited(bytes, seeds, random);
  return bytes;
}

function edited(bytes: Bytes, seeds: readonly Uint8Array[], random: Random): Bytes {
  const at = below(random, bytes.length + 1);
  const byte = random() < 0.5 ? (EDGES[below(random, EDGES.length)] ?? 0) : below(random, 256);
  switch (below(random, 6)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      return joined(bytes.subarray(0, at), Uint8Array.of(byte), bytes.subarray(at));
    case 2:
      return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + below(random, 4)));
    case 3: {
      const other = seeds[below(random, seeds.length)] ?? bytes;
      return joined(bytes.subarray(0, at), other.subarray(below(random, other.length + 1)));
    }
    case 4: {
      bytes.fill(byte, at, at + 1 + below(random, 4));
      return bytes;
    }
    default:
      if (at < bytes.length) bytes[at] = byte;
      return bytes;
  }
}

const joined = (...parts: Uint8Array[]): Bytes => new Uint8Array(Buffer.concat(parts));
