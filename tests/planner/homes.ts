/** Random homes and models, for comparing planners: the devices people own, their links, and the usual sizes of models. */
import type { Home, Machine, Way, Wish } from "#actors/planner/home";
import { DEFAULT_WISH } from "#actors/planner/home";
import type { NodeId } from "#protocol/ids";
import type { ModelShape } from "#protocol/model-shape";

export type Random = () => number;

/** Mulberry32: one seed, one history. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Name, memory in GB, GB/s, and 10^12 operations per second, by their makers' data sheets. */
const DEVICES = [
  ["M1 16", 12, 68, 2.6],
  ["M2 Pro 32", 24, 200, 6.8],
  ["M4 Pro 48", 36, 273, 9.2],
  ["M4 Max 128", 96, 546, 18.4],
  ["M3 Ultra 256", 192, 819, 28.4],
  ["RTX 3090", 23, 936, 71],
  ["RTX 4090", 23, 1008, 165],
  ["DGX Spark", 110, 273, 62],
  ["Strix Halo 128", 96, 256, 30],
  ["PC 32", 26, 60, 1.5],
] as const;

/** One-way latency in ms and bytes per second: Wi-Fi, 1, 2.5 and 10 Gbit/s. */
const LINKS = [
  [2, 40e6],
  [0.25, 118e6],
  [0.2, 290e6],
  [0.1, 1.15e9],
] as const;

/** A mesh of remote direct memory access. */
const MESH = [0.006, 5e9] as const;

export function randomHome(random: Random, count: number, isMeshed = false): Home {
  const machines = Array.from({ length: count }, (_, at): Machine => {
    const [name, gigabytes, rate, tera] = pick(random, DEVICES);
    return {
      node: `node-${at}` as NodeId,
      name: `${name} (${at})`,
      freeBytes: gigabytes * 1e9 * (0.5 + random() / 2),
      activationBytes: 2,
      speeds: {
        bytesPerSecond: rate * 1e9,
        flopsPerSecond: tera * 1e12,
        layerMs: 0.03,
        stepMs: 0.3,
        assumed: false,
      },
    };
  });
  const inMesh = machines.map(() => isMeshed && random() < 0.5);
  const ends = machines.map(() => pick(random, LINKS));
  const ways = machines.map((_, from) =>
    machines.map((_other, to): Way | undefined => {
      if (from === to) return undefined;
      const [a, b] = [ends[from] ?? LINKS[0], ends[to] ?? LINKS[0]];
      const [latencyMs, bytesPerSecond] = inMesh[from] && inMesh[to] ? MESH : a[1] < b[1] ? a : b;
      return { latencyMs, bytesPerSecond, measured: true };
    }),
  );
  return { machines, ways };
}

interface Size {
  readonly layers: number;
  readonly hidden: number;
  readonly feedForward: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDims: number;
  readonly vocabulary: number;
  readonly experts?: { readonly count: number; readonly used: number };
  /** Every layer but each of so many slides. */
  readonly window?: number;
}

/** As published: 8B, 32B, 70B; 120B and 235B of experts. */
const SIZES: readonly Size[] = [
  { layers: 32, hidden: 4096, feedForward: 14336, heads: 32, kvHeads: 8, headDims: 128, vocabulary: 128256 },
  { layers: 64, hidden: 5120, feedForward: 25600, heads: 64, kvHeads: 8, headDims: 128, vocabulary: 151936 },
  { layers: 80, hidden: 8192, feedForward: 28672, heads: 64, kvHeads: 8, headDims: 128, vocabulary: 128256 },
  {
    ...{
      layers: 36,
      hidden: 2880,
      feedForward: 2880,
      heads: 64,
      kvHeads: 8,
      headDims: 64,
      vocabulary: 201088,
    },
    experts: { count: 128, used: 4 },
    window: 128,
  },
  {
    ...{
      layers: 94,
      hidden: 4096,
      feedForward: 1536,
      heads: 64,
      kvHeads: 4,
      headDims: 128,
      vocabulary: 151936,
    },
    experts: { count: 128, used: 8 },
  },
];

/** Bytes of a weight in 4 bits with a scale and a bias of 16 bits for each 64. */
const PACKED = 4.5 / 8;

/** A model of 4 bits. `coarse` takes so many layers together as one: small enough to try every cut. */
export function randomModel(random: Random, coarse = 1): ModelShape {
  return modelOf(pick(random, SIZES), coarse);
}

export function modelOf(size: Size, coarse = 1): ModelShape {
  const { hidden, feedForward, heads, kvHeads, headDims, vocabulary, experts, window } = size;
  const attention = hidden * headDims * (2 * heads + 2 * kvHeads);
  const oneExpert = 3 * hidden * feedForward;
  const [all, used] = experts
    ? [experts.count * oneExpert, experts.used * oneExpert]
    : [oneExpert, oneExpert];
  const router = experts ? hidden * experts.count * 2 : 0;
  const count = Math.max(2, Math.round(size.layers / coarse));
  const layers = Array.from({ length: count }, (_, at) => ({
    bytes: Math.round(coarse * ((attention + all) * PACKED + router)),
    wholeBytes: coarse * router,
    ...(experts && { expertBytes: Math.round(coarse * all * PACKED) }),
    flops: 2 * coarse * (attention + used),
    ...(window !== undefined && at % 2 === 0 && { window }),
  }));
  const table = Math.round(vocabulary * hidden * PACKED);
  return {
    architecture: experts ? "qwen3_moe" : "llama",
    layers,
    embeddingBytes: table,
    headBytes: table,
    tied: false,
    ...{ hidden, feedForward, heads, kvHeads: kvHeads * coarse, headDims, vocabulary },
    ...(experts && { experts }),
    divisions: [
      { what: "attention heads", size: heads, piece: 1 },
      { what: "key-value heads", size: kvHeads, piece: 1 },
      { what: "feed-forward columns", size: feedForward, piece: 64 },
    ],
  };
}

export const wishOf = (random: Random): Wish => ({
  ...DEFAULT_WISH,
  context: 2 ** (12 + Math.floor(random() * 3)),
});

function pick<T>(random: Random, from: readonly T[]): T {
  const chosen = from[Math.floor(random() * from.length)];
  if (chosen === undefined) throw new Error("nothing to pick from");
  return chosen;
}
