import { expect, test } from "bun:test";
import { builtMlx } from "#ffi/built-library";
import { createShapes } from "#ffi/shapes";
import { contextLengthOf, createRope, type RopeConfig } from "./rope.ts";
import {
  llama3Periods,
  longropePeriods,
  proportionalPeriods,
  type Spectrum,
  yarnPeriods,
} from "./rope-periods.ts";

const spectrum: Spectrum = { dims: 8, base: 10_000, factor: 4, original: 64, positions: 256, partial: 1 };
const plain = [1, 10, 100, 1000];

const near = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 6));

test("llama3 keeps short waves, stretches long ones and blends between", () => {
  // Waves are 2π times the period: 6.3 is below 64/4, 628 and 6283 above 64/1, 62.8 just between.
  const smooth = (64 / (20 * Math.PI) - 1) / 3;
  const periods = llama3Periods(spectrum, {
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 64,
  });
  expect(periods).toEqual(near([1, 10 / ((1 - smooth) / 4 + smooth), 400, 4000]) as never);
});

/** gpt-oss's own numbers: its ramp runs from channel 8.09 to 17.40 where it is not rounded outwards to 8 and 18. */
const gptOss: Spectrum = {
  dims: 64,
  base: 150_000,
  factor: 32,
  original: 4096,
  positions: 131_072,
  partial: 1,
};

test.each([
  [true, [0, 0.9, 1]],
  [false, [0, 0.957, 1]],
] as const)("yarn with truncate %p stretches along its ramp", (truncate, ramp) => {
  const { periods, amplitude } = yarnPeriods(gptOss, { truncate });
  const stretched = [8, 17, 18].map((i) => {
    const frequency = 150_000 ** ((2 * i) / 64) / (periods[i] ?? 0);
    return (1 - frequency) / (1 - 1 / 32);
  });
  expect([stretched, amplitude]).toEqual([
    ramp.map((value) => expect.closeTo(value, 3)),
    expect.closeTo(0.1 * Math.log(32) + 1, 9),
  ] as never);
});

test("yarn's amplitude is the ratio of both mscales, or what the file says", () => {
  const amplitude = (parameters: object) => yarnPeriods({ ...gptOss, factor: 40 }, parameters).amplitude;
  expect([
    amplitude({ mscale: 1, mscale_all_dim: 1 }),
    amplitude({ mscale: 0.7, mscale_all_dim: 1 }),
    amplitude({ attention_factor: 1.5 }),
    yarnPeriods({ ...gptOss, factor: 1 }, {}).amplitude,
  ]).toEqual([1, expect.closeTo((0.07 * Math.log(40) + 1) / (0.1 * Math.log(40) + 1), 9), 1.5, 1]);
});

test("longrope takes the long factors where more positions are served than were trained", () => {
  const factors = { long_factor: [1, 2, 3, 4], short_factor: [1, 1, 1, 2] };
  const short = longropePeriods({ ...spectrum, positions: 64, factor: 1 }, factors);
  const long = longropePeriods(spectrum, factors);
  expect([short, long]).toEqual([
    { periods: near([1, 10, 100, 2000]), amplitude: 1 },
    {
      periods: near([1, 20, 300, 4000]),
      amplitude: expect.closeTo(Math.sqrt(1 + Math.log(4) / Math.log(64)), 9),
    },
  ] as never);
});

test("longrope with the wrong number of factors is refused", () => {
  expect(() => longropePeriods(spectrum, { long_factor: [1] })).toThrow(
    "longrope needs 4 factors, config.json has 1",
  );
});

test("proportional turns the first share of the channels, by the whole head's spectrum", () => {
  expect(proportionalPeriods({ ...spectrum, factor: 1, partial: 0.5 })).toEqual([1, 10, Infinity, Infinity]);
});

const turned = (config: RopeConfig, x: readonly number[], offset: number): number[] => {
  const mlx = builtMlx();
  return mlx.scope(() => {
    const rope = createRope(config, x.length, mlx);
    return [...rope.rotate(mlx.fromFloat32(Float32Array.from(x), [1, 1, 1, x.length]), offset).toFloat32()];
  });
};

/** Channels 2i and 2i+1 of the complex plane, turned. */
const rotation = (a: number, b: number, angle: number) => [
  a * Math.cos(angle) - b * Math.sin(angle),
  a * Math.sin(angle) + b * Math.cos(angle),
];

test("channels turn by position over period; half of them where partial_rotary_factor says so", () => {
  const x = [1, 2, 3, 4, 5, 6, 7, 8];
  const offset = 3;
  const pairs = plain.map((period, i) => rotation(x[i] ?? 0, x[i + 4] ?? 0, offset / period));
  const [first, second] = [rotation(1, 3, offset), rotation(2, 4, offset / 100)];
  expect([
    turned({ rope_theta: 10_000 }, x, offset),
    turned({ rope_parameters: { rope_theta: 10_000, rope_type: "default" } }, x, offset),
    turned({ rope_theta: 10_000, partial_rotary_factor: 0.5 }, x, offset),
  ]).toEqual([
    near([...pairs.map(([a = 0]) => a), ...pairs.map(([, b = 0]) => b)]),
    near([...pairs.map(([a = 0]) => a), ...pairs.map(([, b = 0]) => b)]),
    near([first[0] ?? 0, second[0] ?? 0, first[1] ?? 0, second[1] ?? 0, 5, 6, 7, 8]),
  ] as never);
});

test("yarn's amplitude multiplies the turned channels and no others", () => {
  const rope_scaling = {
    rope_type: "yarn",
    factor: 4,
    original_max_position_embeddings: 64,
    attention_factor: 2,
  };
  expect(
    turned({ rope_theta: 10_000, rope_scaling, partial_rotary_factor: 0.5 }, [1, 2, 3, 4, 5, 6, 7, 8], 0),
  ).toEqual([2, 4, 6, 8, 5, 6, 7, 8]);
});

test.each([
  [{ max_position_embeddings: 4096 }, 4096],
  [{ max_position_embeddings: 4096, rope_scaling: { type: "linear", factor: 4 } }, 16_384],
  [{ max_position_embeddings: 4096, rope_scaling: { type: "dynamic", factor: 2 } }, 8192],
  [
    {
      max_position_embeddings: 32_768,
      rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 32_768 },
    },
    131_072,
  ],
  [{ max_position_embeddings: 131_072, rope_scaling: { rope_type: "llama3", factor: 8 } }, 131_072],
  [{}, undefined],
])("%j reaches a context of %p", (config: RopeConfig, expected) => {
  expect(contextLengthOf(config)).toBe(expected);
});

test("a kind that is not known is refused by name", () => {
  expect(() => createRope({ rope_scaling: { rope_type: "spiral" } }, 64, createShapes())).toThrow(
    "config.json asks for rope scaling 'spiral', which is not known",
  );
});
