/** Seeded chance: one seed gives one benchmark, request by request. */

export interface Random {
  /** From 0 up to but not including 1. */
  next(): number;
  /** A whole number from 0 up to but not including `below`. */
  below(below: number): number;
  normal(): number;
  /** With mean 1. */
  exponential(): number;
  /** With mean `shape`. */
  gamma(shape: number): number;
  shuffled<T>(items: readonly T[]): T[];
}

/** Mulberry32 (Tommy Ettinger, public domain): 32 bits of state are plenty for choosing words and gaps. */
export function randomOf(...seeds: readonly (number | string)[]): Random {
  let state = Number(Bun.hash.xxHash32(seeds.join("\0")));
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const positive = () => 1 - next();
  const below = (limit: number) => Math.floor(next() * limit);
  const normal = () => Math.sqrt(-2 * Math.log(positive())) * Math.cos(2 * Math.PI * next());
  const random: Random = {
    next,
    below,
    normal,
    exponential: () => -Math.log(positive()),
    gamma: (shape) => gamma(shape, { positive, normal }),
    shuffled(items) {
      const mixed = [...items];
      for (let i = mixed.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [mixed[i], mixed[j]] = [mixed[j] as (typeof mixed)[number], mixed[i] as (typeof mixed)[number]];
      }
      return mixed;
    },
  };
  return random;
}

/** Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26(3), 2000. */
function gamma(shape: number, from: { positive(): number; normal(): number }): number {
  if (shape < 1) return gamma(shape + 1, from) * from.positive() ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = from.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(from.positive()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}
