/** Small tokenizers for tests. */
import type { GgufTokenizerData } from "../gguf-tokenizer-data.ts";

const control = 3;
const userDefined = 4;
const byte = 6;

/** The 256 symbols of byte-level BPE, in the order of their bytes. */
const symbols = (): string[] => {
  let spare = 0x100;
  const prints = (code: number) => (code > 0x20 && code < 0x7f) || (code > 0xa0 && code !== 0xad);
  return Array.from({ length: 256 }, (_, code) => String.fromCharCode(prints(code) ? code : spare++));
};

/** ChatML by other names: `<|user|>`, `<|assistant|>`, `<|end|>`. */
const chatTemplate =
  "{% for message in messages %}{{ '<|' + message.role + '|>' + message.content + '<|end|>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/** Byte-level BPE that knows the word "hello". */
export function byteLevel(): GgufTokenizerData {
  const special = ["<|user|>", "<|assistant|>", "<|end|>"];
  const words = ["he", "ll", "hell", "hello"];
  const tokens = [...special, "<think>", ...symbols(), ...words];
  return {
    model: "gpt2",
    pre: "gpt-2",
    tokens,
    types: Int32Array.from(tokens, (_, id) =>
      id < special.length ? control : id === special.length ? userDefined : 1,
    ),
    merges: ["h e", "l l", "he ll", "hell o"],
    bos: 0,
    eos: special.indexOf("<|end|>"),
    chatTemplate,
  };
}

/** SentencePiece BPE that knows the word "hello". */
export function sentencePiece(): GgufTokenizerData {
  const special = ["<unk>", "<s>", "</s>"];
  const bytes = Array.from(
    { length: 256 },
    (_, code) => `<0x${code.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const pieces = ["▁", "h", "e", "l", "o", "he", "ll", "hell", "hello", "▁hello"];
  const tokens = [...special, ...bytes, ...pieces];
  const first = special.length + bytes.length;
  return {
    model: "llama",
    tokens,
    types: Int32Array.from(tokens, (_, id) =>
      id === 0 ? 2 : id < special.length ? control : id < first ? byte : 1,
    ),
    scores: Float32Array.from(tokens, (token, id) => (id < first ? 0 : token.length - 100)),
    bos: 1,
    eos: 2,
    unk: 0,
  };
}
