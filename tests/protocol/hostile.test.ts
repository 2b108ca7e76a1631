/** What a malicious member may send instead of a message: refused by name, at no cost, and never half believed. */
import { describe, expect, test } from "bun:test";
import { Encoder, decode as libraryDecode } from "@msgpack/msgpack";
import fc from "fast-check";
import { decode, PROTOCOL_VERSION } from "#protocol/codec";
import { decodeHello } from "#protocol/hello";
import { type AnyMessage, declared, ProtocolError } from "#protocol/message";
import { DEPTH_MAX, readMsgpack } from "#protocol/msgpack";
import { MsgpackWriter } from "#protocol/msgpack-writer";
import { samples } from "./samples.ts";
import { spoken } from "./spoken.ts";

const library = new Encoder({ ignoreUndefined: true });
const writer = new MsgpackWriter(1 << 20);

function refusal(run: () => unknown): string {
  try {
    run();
    return "accepted";
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return error.message;
  }
}

describe("T29 bytes that claim more than they are", () => {
  const bombs: Readonly<Record<string, readonly number[]>> = {
    "a list of 50 million": [0xdd, 0x02, 0xfa, 0xf0, 0x80],
    "a map of 50 million": [0xdf, 0x02, 0xfa, 0xf0, 0x80],
    "text of 4 GB": [0xdb, 0xff, 0xff, 0xff, 0xff],
    "bytes of 4 GB": [0xc6, 0xff, 0xff, 0xff, 0xff],
    "lists in a list": [0x93, 0xdc, 0xff, 0xff, 0xdc, 0xff, 0xff, 0xdc, 0xff, 0xff],
    "half a number": [0xcb, 0x00],
    nothing: [],
  };
  test("are refused in less than a millisecond, with no memory", () => {
    for (const bytes of Object.values(bombs)) refusal(() => readMsgpack(new Uint8Array(bytes)));
    const refused = () =>
      Object.entries(bombs).map(([name, bytes]) => {
        const data = new Uint8Array(bytes);
        const hello = refusal(() => decodeHello(data));
        return [name, refusal(() => decode(data)) === hello ? hello : `hello: ${hello}`];
      });
    const answers = refused();
    // The quickest round of many: another process may have the processor in any one of them.
    const rounds = Array.from({ length: 50 }, () => {
      const startMs = performance.now();
      refused();
      return performance.now() - startMs;
    });
    const eachMs = Math.min(...rounds) / (2 * answers.length);
    const ends = "not msgpack: it ends before what it announces";
    expect({ cheap: eachMs < 1, answers: Object.fromEntries(answers) }).toEqual({
      cheap: true,
      answers: Object.fromEntries(Object.keys(bombs).map((name) => [name, ends])),
    });
  });

  test("or nest, hide fields of every object, carry extensions, or go on after their end", () => {
    const nested = (depth: number) => [...new Array<number>(depth).fill(0x91), 0xc0];
    const read = (...bytes: number[]) => refusal(() => readMsgpack(new Uint8Array(bytes)));
    const key = [...new TextEncoder().encode("__proto__")];
    expect({
      deep: [read(...nested(DEPTH_MAX)), read(...nested(DEPTH_MAX + 1))],
      proto: read(0x81, 0xa0 | key.length, ...key, 0xc0),
      extension: [read(0xd4, 0x00, 0x00), read(0xc7, 0x01, 0x00, 0x00), read(0xc1)],
      after: read(0xc0, 0xc0),
      key: read(0x81, 0x01, 0x01),
      many: refusal(() =>
        readMsgpack(new Uint8Array([0xdd, 0x00, 0x20, 0x00, 0x00, ...new Uint8Array(1 << 21).fill(0x90)])),
      ),
    }).toEqual({
      deep: ["accepted", "nested deeper than 32"],
      proto: "__proto__ is no field of a message",
      extension: [
        "msgpack tag 212 is not used",
        "msgpack tag 199 is not used",
        "msgpack tag 193 is not used",
      ],
      after: "not msgpack: something follows its value",
      key: "a map's keys must be text",
      many: "more than 1048576 lists and maps in one message",
    });
  });
});

/** Every number in a value, as a path and how to put another in its place. */
function numbers(value: unknown, path: string): { path: string; put: (n: number) => unknown }[] {
  if (typeof value === "number") return [{ path, put: (n) => n }];
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return [];
  return Object.entries(value).flatMap(([name, child]) =>
    numbers(child, `${path}.${Array.isArray(value) ? "*" : name}`).map(({ path: at, put }) => ({
      path: at,
      put: (n: number) =>
        Array.isArray(value) ? value.toSpliced(Number(name), 1, put(n)) : { ...value, [name]: put(n) },
    })),
  );
}

const POISON = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 53, 2 ** 64, -(2 ** 64)];

/** The places in a message where a poisoned number gets in, with the number. */
function taken(type: string, fields: unknown): readonly string[] {
  return numbers(fields, type).flatMap(({ path, put }) =>
    POISON.filter((poison) => {
      const message = { type, ...(put(poison) as object) } as AnyMessage;
      // Our own writer would refuse what is not finite already.
      const bytes = library.encode([PROTOCOL_VERSION, "a/x", "b/x", 0, 0, message]);
      return refusal(() => decode(bytes)) === "accepted";
    }).map((poison) => `${path} ${poison}`),
  );
}

test("T30 no number of any message may be infinite, none at all, or beyond 2^53, but a user's own for one answer", async () => {
  await spoken();
  const all = [...declared()].flatMap(([type, schema]) =>
    samples(schema).flatMap((fields) => taken(type, fields)),
  );
  const own = (line: string) =>
    line.startsWith("ShardWorker.Generate.generation.") && !/NaN|Infinity/.test(line);
  expect({ others: all.filter((line) => !own(line)), some: all.some(own) }).toEqual({
    others: [],
    some: true,
  });
});

describe("our own reader and writer", () => {
  const scalar = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({ maxLength: 400 }),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 6 }, scalar, fc.array(tie("value"), { maxLength: 20 }), tie("map")),
    map: fc.dictionary(
      fc.string({ maxLength: 40 }).filter((key) => key !== "__proto__"),
      tie("value"),
      { maxKeys: 20 },
    ),
  }));

  test("say and understand what the library does", () => {
    fc.assert(
      fc.property(value, (given) => {
        const [ours, theirs] = [writer.write(given), library.encode(given)];
        expect(ours.toHex()).toBe(theirs.toHex());
        expect(readMsgpack(theirs)).toEqual(libraryDecode(theirs));
      }),
      { numRuns: 1500 },
    );
  });

  test("refuse at the sender what its receiver would refuse", () => {
    const write = (given: unknown) => refusal(() => void writer.write(given));
    expect([
      write({ a: [JSON.parse('{"__proto__":1}')] }),
      write([Number.POSITIVE_INFINITY]),
      write({ a: Number.NaN }),
    ]).toEqual([
      "__proto__ is no field of a message",
      "Infinity is no number that a message may carry",
      "NaN is no number that a message may carry",
    ]);
  });

  test("read other forms of the same, and bytes that are copies", () => {
    const read = (hex: string) => readMsgpack(Uint8Array.fromHex(hex));
    const bytes = Uint8Array.fromHex("c4020102");
    const copy = readMsgpack(bytes);
    bytes.fill(0xff);
    expect([
      read("cd0001"),
      read("d1fffe"),
      read("ce00000001"),
      read("d3ffffffffffffffff"),
      read("ca3f800000"),
      read("da000161"),
      copy,
    ]).toEqual([1, -2, 1, -1, 1, "a", new Uint8Array([1, 2])]);
  });
});
