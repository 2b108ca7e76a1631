/** Reading GGUF headers: sound files, cut ones, hostile ones. Their meaning: gguf-metadata.test.ts; weights: ggml.test.ts. */
import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { readCheckpoint } from "#actors/shard-worker/weights/checkpoint";
import { readGguf } from "#actors/shard-worker/weights/gguf";
import { flag, gguf, text, texts, u32, type Value } from "./gguf-writer.ts";
import { mutated, randomNumbers, refusal } from "./refusal.ts";
import { temporaryFolder, write } from "./safetensors-writer.ts";
import { F32, tinyLlama } from "./tiny-models.ts";

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, "model.gguf");
const read = (bytes: Uint8Array) => refusal(() => readGguf(write(file, bytes)), folder);
const opening = (bytes: Uint8Array) => refusal(() => readCheckpoint(write(file, bytes)), folder);

const numbers = (
  type: "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "u64" | "i64" | "f64",
  value: number,
): Value => ({ type, value });
const list = (of: "u8" | "u64" | "i32" | "f32" | "bool", ...value: readonly (number | boolean)[]): Value => ({
  type: "array",
  of,
  value,
});
const every: Readonly<Record<string, Value>> = {
  u8: numbers("u8", 255),
  i8: numbers("i8", -128),
  u16: numbers("u16", 65_535),
  i16: numbers("i16", -32_768),
  u32: numbers("u32", 2 ** 32 - 1),
  i32: numbers("i32", -(2 ** 31)),
  f32: numbers("f32", 0.5),
  u64: numbers("u64", 2 ** 40),
  i64: numbers("i64", -(2 ** 40)),
  f64: numbers("f64", 0.1),
  bool: flag(true),
  string: text("Ġ é"),
  strings: texts("", "x"),
  bytes: list("u8", 1, 2),
  words: list("u64", 2 ** 40),
  types: list("i32", -1, 3),
  scores: list("f32", 0.5),
  bools: list("bool", true, false),
};
const tensors = [
  { name: "b", type: F32, shape: [2, 3], data: new Uint8Array(24) },
  { name: "a", type: 8, shape: [2, 64], data: new Uint8Array(136) },
];

test("every kind of metadata and the places of tensors are read, in versions 2 and 3 and any alignment", () => {
  for (const [version, alignment] of [
    [2, 32],
    [3, 32],
    [3, 64],
  ] as const) {
    const bytes = gguf({ ...every, "general.alignment": u32(alignment) }, tensors, { version, alignment });
    const { metadata, tensors: found } = readGguf(write(file, bytes));
    const data = bytes.length - 136 - alignment;
    expect([
      Object.fromEntries(metadata),
      found.map(({ name, shape, offset, bytes, type }) => [name, type.name, shape, offset, bytes]),
    ]).toEqual([
      {
        ...Object.fromEntries(Object.entries(every).map(([key, { value }]) => [key, value])),
        bytes: Float64Array.of(1, 2),
        words: Float64Array.of(2 ** 40),
        types: Int32Array.of(-1, 3),
        scores: Float32Array.of(0.5),
        "general.alignment": alignment,
      },
      [
        ["b", "F32", [2, 3], data, 24],
        ["a", "Q8_0", [2, 64], data + alignment, 136],
      ],
    ] as never);
  }
});

test("a file cut at any byte is refused, and from the data on with tensor and byte", () => {
  const sound = gguf(every, tensors);
  const data = sound.length - 136 - 32;
  const said = Array.from(sound, (_, length) => read(sound.subarray(0, length)));
  const short = said.filter((words) => !words.startsWith("invalid: model.gguf ends at byte "));
  expect([short, said[2], said[40], said[data], said[sound.length - 1]]).toEqual([
    [],
    "invalid: model.gguf ends at byte 2, in the middle of its header",
    "invalid: model.gguf ends at byte 40, in the middle of the number of its tensors: 2 entries of at least 24 bytes",
    `invalid: model.gguf ends at byte ${data}, in the middle of tensor "b", which takes bytes ${data} to ${data + 24}`,
    `invalid: model.gguf ends at byte ${sound.length - 1}, in the middle of tensor "a", which takes bytes ${data + 32} to ${data + 168}`,
  ]);
});

describe("a file is refused", () => {
  const patched = (bytes: Uint8Array, at: number, ...values: readonly number[]) => {
    const copy = Uint8Array.from(bytes);
    copy.set(values, at);
    return copy;
  };
  const plain = gguf({}, [{ name: "x", type: F32, shape: [4], data: new Uint8Array(16) }]);
  const one = (type: number, shape: readonly number[], bytes = 64) =>
    gguf({}, [{ name: "x", type, shape, data: new Uint8Array(bytes) }]);
  const cases: readonly (readonly [what: string, bytes: Uint8Array, said: string])[] = [
    [
      "that is something else",
      patched(plain, 0, 0x50, 0x4b),
      'model.gguf is not a GGUF file: it starts with "PKUF"',
    ],
    [
      "of version 1",
      patched(plain, 4, 1),
      "model.gguf is GGUF version 1; versions 2 and 3, little-endian, can be read",
    ],
    [
      "of a big-endian machine",
      patched(plain, 4, 0, 0, 0, 3),
      "model.gguf is GGUF for big-endian machines; versions 2 and 3, little-endian, can be read",
    ],
    [
      "with more tensors than bytes",
      patched(plain, 8, 255, 255, 255, 255, 255, 255, 255, 255),
      "ends at byte 80, in the middle of the number of its tensors: 18446744073709552000 entries of at least 24 bytes",
    ],
    [
      "with a name longer than the file",
      patched(plain, 24, 255, 255, 255),
      "ends at byte 80, in the middle of the entry of tensor 1 of 1: a string of 16777215 bytes",
    ],
    [
      "with five axes",
      one(F32, [1, 1, 1, 1, 4]),
      'it has 5 axes, 1 to 4 are possible (byte 37, in the entry of tensor "x")',
    ],
    ["with an axis of nothing", one(F32, [0]), 'its axes are 0 (byte 45, in the entry of tensor "x")'],
    [
      "with more elements than can be counted",
      one(F32, [2147483647, 2147483647]),
      'ends at byte 160, in the middle of tensor "x", which takes bytes 96 to 18446744056529682000',
    ],
    [
      "with an unknown element type",
      one(99, [4]),
      'its element type is 99, which is not known (byte 49, in the entry of tensor "x")',
    ],
    [
      "whose rows tear blocks",
      one(8, [33]),
      'rows of 33 values do not divide into Q8_0 blocks of 32 (byte 57, in tensor "x")',
    ],
    [
      "with a crooked offset",
      patched(plain, 49, 1),
      'its offset 1 is not a multiple of 32 (byte 57, in tensor "x")',
    ],
    ["with an alignment of 0", gguf({ "general.alignment": u32(0) }, tensors), "general.alignment is 0 ("],
    [
      "with an alignment of text",
      gguf({ "general.alignment": text("x") }, tensors),
      'general.alignment is "x" (',
    ],
    [
      "that says something twice",
      gguf({ aa: u32(1), ab: u32(1) }, []).map((byte) => (byte === 0x62 ? 0x61 : byte)),
      'the key stands there twice (byte 52, in metadata "aa")',
    ],
    [
      "with two tensors of one name",
      gguf(
        {},
        [tensors[0], tensors[0]].filter((t) => t !== undefined),
      ),
      "there are two tensors of this name",
    ],
    [
      "with a truth value of 2",
      patched(gguf({ k: flag(true) }, []), 37, 2),
      'a truth value is 2, 0 or 1 are possible (byte 38, in metadata "k")',
    ],
    [
      "with a value of unknown type",
      patched(gguf({ k: u32(1) }, []), 33, 77),
      'a value has the unknown type 77 (byte 37, in metadata "k")',
    ],
  ];
  for (const [what, bytes, said] of cases) test(what, () => expect(read(bytes)).toContain(said));

  test("with arrays in arrays without end", () => {
    const deep = Buffer.concat([
      gguf({ k: u32(1) }, []).subarray(0, 33),
      ...Array.from({ length: 9 }, () => Uint8Array.of(9, 0, 0, 0, ...new Uint8Array(8).fill(1, 0, 1))).map(
        (level, i) =>
          i === 0
            ? level.subarray(0, 4)
            : Buffer.concat([Uint8Array.of(9, 0, 0, 0), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)]),
      ),
      new Uint8Array(64),
    ]);
    expect(read(deep)).toContain("arrays stand 5 deep in one another");
  });

  test("whose tensors share bytes", () => {
    const two = gguf({}, [
      { name: "x", type: F32, shape: [16], data: new Uint8Array(64) },
      { name: "y", type: F32, shape: [4], data: new Uint8Array(16) },
    ]);
    // The second tensor's offset: 8 + 1 + 4 + 8 + 4 bytes into its entry, which follows the first one's 33.
    expect(read(patched(two, 24 + 33 + 25, 32))).toContain('tensors "x" and "y" overlap at byte 128');
  });
});

test("10,000 damaged headers are read or refused, never crash (seed 2)", () => {
  const sound = tinyLlama(every);
  const random = randomNumbers(2);
  const odd: string[] = [];
  const header = readGguf(write(file, sound)).tensors[0]?.offset ?? 0;
  for (let i = 0; i < 10_000; i++) {
    const said = opening(mutated(sound, random, header));
    if (!/^(no problem$|(invalid|notFound): )/.test(said)) odd.push(said);
  }
  expect(odd).toEqual([]);
});
