/** The same tokenizers in the form that GGUF files have: the names of pre-tokenizers stand for the right patterns. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sourceFromGguf } from "#actors/shard-worker/text/gguf-tokenizer";
import { Tokenizer } from "#actors/shard-worker/text/tokenizer";
import type { TokenizerJson } from "#actors/shard-worker/text/tokenizer-json";

const read = <T>(...path: readonly string[]): T =>
  JSON.parse(readFileSync(join(import.meta.dir, ...path), "utf8")) as T;
const texts = read<readonly string[]>("texts.json");

/** Added tokens of these kinds GGUF cannot express: alone in a word, or taking spaces along. */
const beyondGguf = /<mask>|word|<extra>/;

const kinds: Readonly<Record<string, string>> = {
  llama3: "llama-bpe",
  qwen2: "qwen2",
  gpt2: "gpt-2",
  smollm: "smollm",
  o200k: "gpt-4o",
  deepseek: "deepseek-v3",
};

for (const [kind, pre] of Object.entries(kinds)) {
  test(`${kind} from a GGUF file with the pre-tokenizer ${pre} has the reference's ids`, () => {
    const { tokenizer: json, cases } = read<{ tokenizer: TokenizerJson; cases: { ids: number[] }[] }>(
      "tokenizers",
      `${kind}.json`,
    );
    const { vocab, merges } = json.model as unknown as {
      vocab: Record<string, number>;
      merges: [string, string][];
    };
    const tokens: string[] = [];
    for (const [token, id] of Object.entries(vocab)) tokens[id] = token;
    for (const { id, content } of json.added_tokens) tokens[id] = content;
    const control = new Set(json.added_tokens.map(({ id }) => id));
    const tokenizer = new Tokenizer(
      sourceFromGguf({
        model: "gpt2",
        pre,
        tokens,
        types: Int32Array.from(tokens, (_, id) => (control.has(id) ? 3 : 1)),
        merges: merges.map((pair) => pair.join(" ")),
      }),
    );
    const plain = texts
      .map((text, at) => ({ text, ids: cases[at]?.ids }))
      .filter(({ text }) => !beyondGguf.test(text));
    expect(plain.map(({ text }) => ({ text, ids: tokenizer.encode(text) }))).toEqual(
      plain.map(({ text, ids = [] }) => ({ text, ids })),
    );
  });
}
