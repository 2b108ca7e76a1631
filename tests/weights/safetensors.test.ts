/** Reading safetensors headers: sound files, cut ones, hostile ones. Weights themselves: checkpoint.test.ts. */
import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors } from "#actors/shard-worker/weights/safetensors";
import { readSafetensorsFolder } from "#actors/shard-worker/weights/safetensors-folder";
import { mutated, randomNumbers, refusal } from "./refusal.ts";
import { counted, float32, safetensors, temporaryFolder, withHeader, write } from "./safetensors-writer.ts";

const folder = temporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, "model.safetensors");
const read = (bytes: Uint8Array) => refusal(() => readSafetensors(write(file, bytes)), folder);

const sound = safetensors({
  one: float32([2, 3], [1, 2, 3, 4, 5, 6]),
  none: float32([0, 4], []),
  half: { dtype: "BF16", shape: [3], data: Uint8Array.of(0, 1, 2, 3, 4, 5) },
  scalar: float32([], [7]),
});
/** Bytes before the data. */
const start = sound.length - 24 - 6 - 4;

test("a sound file's tensors are listed in the order of their bytes", () => {
  const tensors = readSafetensors(write(file, sound)).map(({ path: _, ...tensor }) => tensor);
  expect(tensors).toEqual([
    { name: "one", dtype: "float32", storedAs: "F32", shape: [2, 3], offset: start, bytes: 24 },
    { name: "none", dtype: "float32", storedAs: "F32", shape: [0, 4], offset: start + 24, bytes: 0 },
    { name: "half", dtype: "bfloat16", storedAs: "BF16", shape: [3], offset: start + 24, bytes: 6 },
    { name: "scalar", dtype: "float32", storedAs: "F32", shape: [], offset: start + 30, bytes: 4 },
  ]);
});

test("a file cut at any byte is refused, and from the data on with tensor and byte", () => {
  const said = Array.from(sound, (_, length) => read(sound.subarray(0, length)));
  expect(said.filter((text) => !text.startsWith("invalid: model.safetensors ends at byte "))).toEqual([]);
  expect([said[3], said[100], said[start], said[start + 27], said[start + 33]]).toEqual([
    "invalid: model.safetensors ends at byte 3, in the middle of the length of its header",
    `invalid: model.safetensors ends at byte 100, in the middle of its header of ${start - 8} bytes`,
    `invalid: model.safetensors ends at byte ${start}, in the middle of tensor "one", which takes bytes ${start} to ${start + 24}`,
    `invalid: model.safetensors ends at byte ${start + 27}, in the middle of tensor "half", which takes bytes ${start + 24} to ${start + 30}`,
    `invalid: model.safetensors ends at byte ${start + 33}, in the middle of tensor "scalar", which takes bytes ${start + 30} to ${start + 34}`,
  ]);
});

describe("a header is refused that", () => {
  const entry = (dtype: unknown, shape: unknown, offsets: unknown) =>
    JSON.stringify({ x: { dtype, shape, data_offsets: offsets } });
  const data = [new Uint8Array(64)];
  const cases: readonly (readonly [what: string, header: string, said: string])[] = [
    ["is not JSON", "{", "its header is not JSON: JSON Parse error: Expected '}'"],
    ["is a list", "[]", "its header is not a JSON object"],
    [
      "holds no JSON at all",
      "\u{fffd}".repeat(2),
      "its header is not JSON: JSON Parse error: Unrecognized token '\u{fffd}'",
    ],
    ["describes a tensor by text", '{"x":"y"}', 'tensor "x" is not described by an object'],
    [
      "has an unknown element type",
      entry("F99", [1], [0, 4]),
      'tensor "x" has the unknown element type "F99"',
    ],
    [
      "has a type that objects inherit",
      entry("toString", [1], [0, 4]),
      'tensor "x" has the unknown element type "toString"',
    ],
    ["has a negative axis", entry("F32", [-1, -1], [0, 4]), 'tensor "x" has the shape [-1,-1]'],
    ["has half an element", entry("F32", [0.5], [0, 2]), 'tensor "x" has the shape [0.5]'],
    [
      "has an axis that MLX cannot count",
      entry("U8", [2 ** 31], [0, 2 ** 31]),
      'tensor "x" has the shape [2147483648]',
    ],
    ["has no shape", '{"x":{"dtype":"F32","data_offsets":[0,4]}}', 'tensor "x" has the shape (nothing)'],
    ["has three offsets", entry("F32", [1], [0, 4, 8]), 'tensor "x" has the data_offsets [0,4,8]'],
    [
      "has offsets the wrong way round",
      entry("F32", [1], [8, 4]),
      'tensor "x" of shape [1] and type F32 takes 4 bytes, but has -4, from byte BYTE on',
    ],
    [
      "has a shape that overflows",
      entry("F32", [2147483647, 2147483647, 2147483647], [0, 4]),
      'tensor "x" of shape [2147483647, 2147483647, 2147483647] and type F32 takes 3.9614081201791937e+28 bytes, but has 4, from byte BYTE on',
    ],
    [
      "takes fewer bytes than its shape",
      entry("F16", [4], [0, 4]),
      'tensor "x" of shape [4] and type F16 takes 8 bytes, but has 4, from byte BYTE on',
    ],
    [
      "names a tensor twice",
      `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`,
      'its header names tensor "a" twice',
    ],
    [
      "gives bytes to two tensors",
      `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`,
      'tensors "a" and "b" overlap at byte BYTE',
    ],
  ];
  for (const [what, header, said] of cases) {
    test(what, () => {
      const expected = `invalid: model.safetensors is not a sound safetensors file: ${said}`;
      expect(read(withHeader(header, data)).replace(/byte \d+/, "byte BYTE")).toBe(
        expected.replace(/byte \d+/, "byte BYTE"),
      );
    });
  }
  test("is longer than the format allows", () => {
    const bytes = new Uint8Array(16).fill(255);
    expect(read(bytes)).toContain(
      "its header would be 18446744073709551615 bytes long, at most 100000000 are allowed",
    );
  });
});

test("nested keys, strings with quotes and a tensor called __proto__ are not mistaken for repeats", () => {
  const header =
    '{"a\\"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"__metadata__":{"a":"{\\"a\\":1,"}}';
  const names = readSafetensors(write(file, withHeader(header, [new Uint8Array(2)]))).map(({ name }) => name);
  expect(names).toEqual(['a"b', "__proto__"]);
});

test("10,000 damaged headers are read or refused, never crash (seed 1)", () => {
  const random = randomNumbers(1);
  const odd: string[] = [];
  for (let i = 0; i < 10_000; i++) {
    const said = read(mutated(sound, random, start));
    if (said !== "no problem" && !said.startsWith("invalid: model.safetensors ")) odd.push(said);
  }
  expect(odd).toEqual([]);
});

describe("a folder", () => {
  const index = (map: object) => JSON.stringify({ weight_map: map });
  const [a, b] = [safetensors({ a: counted(2) }), safetensors({ b: counted(3) })];
  const inFolder = (files: Readonly<Record<string, Uint8Array | string>>) => {
    const place = temporaryFolder();
    for (const [name, bytes] of Object.entries(files)) write(join(place, name), bytes);
    try {
      let names: readonly string[] = [];
      const said = refusal(() => {
        names = [...readSafetensorsFolder(place).keys()];
      }, place);
      return said === "no problem" ? names : said.replaceAll(place, "FOLDER");
    } finally {
      rmSync(place, { recursive: true });
    }
  };
  const [first, second] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

  test("is read by its index, or by its names without one", () => {
    const files = { [first]: a, [second]: b };
    expect([
      inFolder({ ...files, "model.safetensors.index.json": index({ a: first, b: second }) }),
      inFolder(files),
      inFolder({ "model.safetensors": a, "other.safetensors": b }),
    ]).toEqual([["a", "b"], ["a", "b"], ["a"]]);
  });

  test("that is not whole is refused by file and tensor", () => {
    const named = { "model.safetensors.index.json": index({ a: first, b: second }) };
    expect([
      inFolder({ ...named, [first]: a }),
      inFolder({ ...named, [first]: a, [second]: a.subarray(0, 20) }),
      inFolder({ ...named, [first]: a, [second]: safetensors({ c: counted(1) }) }),
      inFolder({ [first]: a }),
      inFolder({ [first]: a, [second]: a }),
      inFolder({}),
      inFolder({ "model.safetensors.index.json": index({ a: "../model.safetensors" }) }),
      inFolder({ "model.safetensors.index.json": "{}" }),
      inFolder({ "model.safetensors.index.json": "{" }),
    ]).toEqual([
      `notFound: model.safetensors.index.json names ${second} (for tensor "b"), which is missing`,
      expect.stringMatching(
        /^invalid: model-00002-of-00002.safetensors ends at byte 20, in the middle of its header of \d+ bytes$/,
      ),
      `invalid: model.safetensors.index.json says that tensor "b" is in ${second}, where it is not`,
      `notFound: ${second} is missing, a part of the model`,
      `invalid: tensor "a" is both in ${first} and in ${second}`,
      "notFound: FOLDER holds no model*.safetensors",
      'invalid: model.safetensors.index.json puts tensor "a" in "../model.safetensors", which is no file of this folder',
      "invalid: model.safetensors.index.json lacks 'weight_map'",
      "invalid: model.safetensors.index.json is not JSON: JSON Parse error: Expected '}'",
    ]);
  });
});
