import { expect, test } from "bun:test";
import fc from "fast-check";
import { Problem } from "#protocol/problem";
import { detokenizerOf } from "./detokenizer.ts";
import { sourceFromGguf } from "./gguf-tokenizer.ts";
import type { GgufTokenizerData } from "./gguf-tokenizer-data.ts";
import { byteLevel, sentencePiece } from "./test/tokenizers.ts";
import { bytesOf, spellingOf } from "./token-bytes.ts";
import { Tokenizer } from "./tokenizer.ts";

const opened = (data: GgufTokenizerData) => {
  const tokenizer = new Tokenizer(sourceFromGguf(data));
  const spelling = spellingOf(tokenizer.source.json.decoder);
  return {
    tokenizer,
    detokenizer: () => detokenizerOf(tokenizer, spelling),
    bytes: (id: number) => [...bytesOf(tokenizer, spelling, id)],
  };
};
const idsOf = (tokenizer: Tokenizer, pieces: readonly string[]) =>
  pieces.map((piece) => tokenizer.idOf(piece) ?? -1);

test("byte-level BPE merges what its merges say and no more", () => {
  const { tokenizer } = opened(byteLevel());
  expect(tokenizer.encode("hello hell h")).toEqual(idsOf(tokenizer, ["hello", "Ġ", "hell", "Ġ", "h"]));
});

test("a character comes out whole when its last byte came", () => {
  const { tokenizer, detokenizer } = opened(byteLevel());
  const stream = detokenizer();
  const ids = tokenizer.encode("é😀\ufeff!");
  expect([...ids.map((id) => stream.push(id)), stream.flush()]).toEqual([
    "",
    "é",
    "",
    "",
    "",
    "😀",
    "",
    "",
    "\ufeff",
    "!",
    "",
  ]);
});

test("an unfinished character is U+FFFD at the end, and a broken one where it breaks", () => {
  const { tokenizer, detokenizer } = opened(byteLevel());
  const smiley = tokenizer.encode("😀");
  const cut = detokenizer();
  const broken = detokenizer();
  expect([
    [...smiley.slice(0, 3).map((id) => cut.push(id)), cut.flush()],
    [...[...smiley.slice(0, 2), ...tokenizer.encode("a")].map((id) => broken.push(id)), broken.flush()],
  ]).toEqual([
    ["", "", "", "\ufffd"],
    ["", "", "\ufffda", ""],
  ]);
});

test("control tokens are not text, other added tokens are", () => {
  const { tokenizer, detokenizer } = opened(byteLevel());
  const ids = tokenizer.encode("<|user|>hi<think>é<|end|>");
  const stream = detokenizer();
  expect([ids.map((id) => stream.push(id)).join("") + stream.flush(), ids[0]]).toEqual([
    "hi<think>é",
    tokenizer.idOf("<|user|>") ?? -1,
  ]);
});

test("SentencePiece writes unknown characters as bytes and takes off the space it put in front", () => {
  const { tokenizer, detokenizer, bytes } = opened(sentencePiece());
  const ids = tokenizer.encode("hello hello é");
  const stream = detokenizer();
  expect({
    pieces: ids.map((id) => tokenizer.piece(id)),
    streamed: [...ids.map((id) => stream.push(id)), stream.flush()],
    bytes: bytes(ids[0] ?? 0),
  }).toEqual({
    pieces: ["▁hello", "▁hello", "▁", "<0xC3>", "<0xA9>"],
    streamed: ["hello", " hello", " ", "", "é", ""],
    bytes: [...new TextEncoder().encode(" hello")],
  });
});

test("bare text is put after the first token where the model wants it", () => {
  const withFirst = opened({ ...byteLevel(), addBos: true }).tokenizer;
  const without = opened({ ...byteLevel(), addBos: false }).tokenizer;
  const spm = opened(sentencePiece()).tokenizer;
  expect(
    [withFirst, without, spm].map((tokenizer) => tokenizer.encodeText("h").map((id) => tokenizer.piece(id))),
  ).toEqual([["<|user|>", "h"], ["h"], ["<s>", "▁", "h"]]);
});

test("a pre-tokenizer that is not known is refused by name, and so is a kind of model", () => {
  for (const [data, name] of [
    [{ ...byteLevel(), pre: "no-such" }, '"no-such"'],
    [{ ...byteLevel(), pre: "constructor" }, '"constructor"'],
    [{ ...byteLevel(), model: "t5" }, '"t5"'],
  ] as const) {
    expect(() => opened(data)).toThrow(Problem);
    expect(() => opened(data)).toThrow(name);
  }
});

/** A busy machine takes a second; what grows with the square of the length would take minutes. */
const boundMs = 10_000;
const long: Readonly<Record<string, string>> = {
  "one letter": "a".repeat(100_000),
  spaces: " ".repeat(100_000),
  newlines: "\n".repeat(100_000),
  digits: "1".repeat(100_000),
  words: "hello ".repeat(16_000),
  Chinese: "你".repeat(100_000),
  "control tokens": "<|user|>".repeat(12_500),
  "beginnings of control tokens": "<|use".repeat(20_000),
  "combining marks": `a${"\u0301".repeat(100_000)}`,
  "quotes and spaces": "' ".repeat(50_000),
};
for (const [name, text] of Object.entries(long)) {
  test(
    `100,000 characters are no burden: ${name}`,
    () => {
      const tokenizers = [
        byteLevel(),
        { ...byteLevel(), pre: "llama-bpe" },
        { ...byteLevel(), pre: "gpt-4o" },
        sentencePiece(),
      ];
      for (const { tokenizer } of tokenizers.map(opened)) {
        const started = performance.now();
        expect(tokenizer.encode(text).length).toBeGreaterThan(0);
        expect(performance.now() - started).toBeLessThan(boundMs);
      }
    },
    4 * boundMs,
  );
}

/** SentencePiece's BPE as it is defined: the best-scored pair, the leftmost of equals, until none is a token. */
function mergedBySentencePiece(text: string, scores: ReadonlyMap<string, number>): string[] {
  const parts = [...text];
  for (;;) {
    let best = -1;
    for (let at = 0; at + 1 < parts.length; at++) {
      const score = scores.get(`${parts[at]}${parts[at + 1]}`);
      const record = best < 0 ? undefined : scores.get(`${parts[best]}${parts[best + 1]}`);
      if (score !== undefined && (record === undefined || score > record)) best = at;
    }
    if (best < 0) return parts;
    parts.splice(best, 2, `${parts[best]}${parts[best + 1]}`);
  }
}

test("scores say the same as merges: any vocabulary, any text", () => {
  const letters = ["▁", "a", "b", "c"];
  const piece = fc.string({ unit: fc.constantFrom(...letters), minLength: 2, maxLength: 5 });
  const word = fc.string({ unit: fc.constantFrom(" ", "a", "b", "c"), maxLength: 30 });
  fc.assert(
    fc.property(fc.uniqueArray(piece, { maxLength: 25 }), word, (longer, text) => {
      const base = sentencePiece();
      const tokens = [...base.tokens.slice(0, 259), ...letters, ...longer];
      const scores = new Map(longer.map((each, at) => [each, -at - 1]));
      const { tokenizer } = opened({
        ...base,
        tokens,
        types: Int32Array.from(tokens, (_, id) => base.types?.[id] ?? 1),
        scores: Float32Array.from(tokens, (token) => scores.get(token) ?? 0),
      });
      const got = tokenizer.encode(text).map((id) => tokenizer.piece(id) ?? "");
      expect(got).toEqual(text === "" ? [] : mergedBySentencePiece(`▁${text.replaceAll(" ", "▁")}`, scores));
    }),
  );
});

test("a decoder that is no matter of bytes streams what it decodes", () => {
  const vocab = { "[UNK]": 0, he: 1, "##llo": 2, world: 3 };
  const json = {
    added_tokens: [{ id: 0, content: "[UNK]", special: true }],
    normalizer: null,
    pre_tokenizer: { type: "Whitespace" },
    post_processor: null,
    decoder: { type: "WordPiece", prefix: "##", cleanup: false },
    model: { type: "WordPiece", vocab, unk_token: "[UNK]", continuing_subword_prefix: "##" },
  };
  const tokenizer = new Tokenizer({ json, ends: [], names: {}, templates: {} });
  const stream = detokenizerOf(tokenizer, spellingOf(json.decoder));
  const ids = tokenizer.encode("hello world");
  expect([ids, ids.map((id) => stream.push(id)), stream.flush()]).toEqual([
    [1, 2, 3],
    ["he", "llo", " world"],
    "",
  ]);
});
