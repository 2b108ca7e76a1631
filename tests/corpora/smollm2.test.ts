/** The tokenizer in a real GGUF file; `record_tokenizers.py` recorded the ids. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openText } from "#actors/shard-worker/text/text-port";
import { readGguf } from "#actors/shard-worker/weights/gguf";
import { ggufTokenizer } from "#actors/shard-worker/weights/gguf-tokenizer";

const folder = join(import.meta.dir, "../../.cache/models/smollm2");
/** `bun mlx-c/build.ts` fetches it. */
const file = readdirSync(folder).find((name) => name.endsWith(".gguf"));
const read = <T>(name: string): T => JSON.parse(readFileSync(join(import.meta.dir, name), "utf8")) as T;
const texts = read<readonly string[]>("texts.json").map((text) =>
  text.replaceAll("<|user|>", "<|im_start|>").replaceAll("<|end|>", "<|im_end|>"),
);

const opened = () =>
  openText({ gguf: ggufTokenizer(readGguf(join(folder, file ?? ""))) }, { nowMs: () => 0 });

test("SmolLM2 from GGUF has the reference's ids for every text, and gives the texts back", () => {
  const text = opened();
  const ids = texts.map((each) => [...text.encode({ type: "text", text: each })]);
  const streamed = ids.map((each) => {
    const stream = text.detokenizer();
    return each.map((id) => stream.push(id)).join("") + stream.flush();
  });
  expect(ids).toEqual(read<number[][]>("smollm2.json"));
  expect(streamed).toEqual(texts.map((each) => each.replace(/<\|im_(start|end)\|>/g, "")));
});

test("SmolLM2's own template writes the question as the model was taught", () => {
  const text = opened();
  const ids = text.encode({
    type: "messages",
    messages: [{ role: "user", content: "What is the capital of France?" }],
  });
  expect({ written: ids.map((id) => text.tokenText(id).text).join(""), ends: [...text.endTokens] }).toEqual({
    written:
      "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n" +
      "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
    ends: [2, 0],
  });
});
