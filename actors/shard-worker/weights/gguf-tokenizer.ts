/** The tokenizer keys of a GGUF file, as plain data for the text room. */
import type { GgufTokenizerData } from "../text/gguf-tokenizer-data.ts";
import { present } from "./config-entries.ts";
import type { GgufFile } from "./gguf.ts";
import { GgufMetadata } from "./gguf-metadata.ts";

/** Throws Problem when the file has no tokenizer, or a key of the wrong type. */
export function ggufTokenizer(file: GgufFile): GgufTokenizerData {
  const metadata = new GgufMetadata(file);
  const key = (name: string) => `tokenizer.ggml.${name}`;
  const scores = metadata.numbers(key("scores"));
  const types = metadata.numbers(key("token_type"));
  const found = {
    pre: metadata.text(key("pre")),
    scores: scores && Float32Array.from(scores),
    types: types && Int32Array.from(types),
    merges: metadata.texts(key("merges")),
    bos: metadata.number(key("bos_token_id")),
    eos: metadata.number(key("eos_token_id")),
    eot: metadata.number(key("eot_token_id")),
    unk: metadata.number(key("unknown_token_id")),
    pad: metadata.number(key("padding_token_id")),
    addBos: metadata.flag(key("add_bos_token")),
    addEos: metadata.flag(key("add_eos_token")),
    addSpacePrefix: metadata.flag(key("add_space_prefix")),
    chatTemplate: metadata.text("tokenizer.chat_template"),
  };
  return {
    model: metadata.needed(key("model"), metadata.text(key("model"))),
    tokens: metadata.needed(key("tokens"), metadata.texts(key("tokens"))),
    ...present(found),
  };
}
