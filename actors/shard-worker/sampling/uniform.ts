/**
 * Chance addressed by (seed, position): one number per place in the text, the same whatever was computed before it. So a
 * request gives the same text in any chunking, on any split and beside any other request. The mixing is SplitMix64's
 * (https://doi.org/10.1145/2714064.2660195).
 */
const MASK = (1n << 64n) - 1n;
const STRIDE = 0x9e3779b97f4a7c15n;

/** Uniform in [0, 1), with 53 random bits. */
export function uniformAt(seed: bigint, position: number): number {
  const bits = mix((mix(seed & MASK) + BigInt(position) * STRIDE) & MASK);
  return Number(bits >> 11n) / 2 ** 53;
}

/** A seed for a request that names none: from its id, so that even this answer can be had again. */
export function seedOf(text: string): bigint {
  let seed = 0n;
  for (const byte of new TextEncoder().encode(text)) seed = mix((seed + STRIDE + BigInt(byte)) & MASK);
  return seed;
}

function mix(value: bigint): bigint {
  const first = ((value ^ (value >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  const second = ((first ^ (first >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return second ^ (second >> 31n);
}
