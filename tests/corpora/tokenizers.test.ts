/** Ids and texts equal to those of Hugging Face's tokenizers; `record_tokenizers.py` recorded them. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { detokenizerOf } from "#actors/shard-worker/text/detokenizer";
import { spellingOf } from "#actors/shard-worker/text/token-bytes";
import { Tokenizer } from "#actors/shard-worker/text/tokenizer";
import type { TokenizerJson } from "#actors/shard-worker/text/tokenizer-json";

interface Case {
  readonly ids: readonly number[];
  /** What the ids decode to, where that is not the text. */
  readonly decoded?: string;
  /** The ids with what the post-processor adds. */
  readonly around?: readonly number[];
}
interface Recorded {
  readonly tokenizer: TokenizerJson;
  readonly cases: readonly Case[];
}

const read = <T>(...path: readonly string[]): T =>
  JSON.parse(readFileSync(join(import.meta.dir, ...path), "utf8")) as T;
const texts = read<readonly string[]>("texts.json");
const kinds = readdirSync(join(import.meta.dir, "tokenizers")).map((file) => file.replace(".json", ""));

const opened = (kind: string) => {
  const { tokenizer: json, cases } = read<Recorded>("tokenizers", `${kind}.json`);
  const tokenizer = new Tokenizer({ json, ends: [], names: {}, templates: {} });
  const spelling = spellingOf(json.decoder);
  const decoded = (ids: readonly number[]): string => {
    const detokenizer = detokenizerOf(tokenizer, spelling);
    return ids.map((id) => detokenizer.push(id)).join("") + detokenizer.flush();
  };
  return { tokenizer, decoded, cases: texts.map((text, at) => ({ text, ...(cases[at] ?? { ids: [] }) })) };
};

/** Texts that are long for their tokens, or lose something on the way. */
const sparse = [" ", "=", "a", "e\u0301", "\u0004", "\ud800", "\u1f82", "\u{2f800}", "\u{4ffff}"].map(
  (each) => each.repeat(3000),
);

for (const kind of kinds) {
  test(`${kind}: no text is refused for its length that has room`, () => {
    const { tokenizer } = opened(kind);
    for (const text of [...sparse, ...texts.flatMap((each) => [each, each.repeat(20)])]) {
      const ids = tokenizer.encode(text);
      expect(tokenizer.encode(text, { most: ids.length })).toEqual(ids);
    }
  });

  test(`${kind}: every text of the corpus has the reference's ids`, () => {
    const { tokenizer, cases } = opened(kind);
    expect(cases.map(({ text }) => ({ text, ids: tokenizer.encode(text) }))).toEqual(
      cases.map(({ text, ids }) => ({ text, ids: [...ids] })),
    );
  });

  test(`${kind}: token by token the text is the reference's`, () => {
    const { decoded, cases } = opened(kind);
    expect(cases.map(({ text, ids }) => ({ text, got: decoded(ids) }))).toEqual(
      cases.map(({ text, decoded: want }) => ({ text, got: want ?? text })),
    );
  });

  test(`${kind}: bare text is put between the tokens of the post-processor`, () => {
    const { tokenizer, cases } = opened(kind);
    const around = cases.slice(0, 12);
    expect(around.map(({ text }) => tokenizer.encodeText(text))).toEqual(
      around.map(({ ids, around: want }) => [...(want ?? ids)]),
    );
  });
}
