/**
 * How text is cut before byte-level BPE, by the name a GGUF file gives in `tokenizer.ggml.pre`.
 * The patterns are those of the models' own `tokenizer.json` files; the names are those that llama.cpp's converter writes.
 */
import { Problem } from "#protocol/problem";
import type { Stage } from "./tokenizer-json.ts";

/** What comes before the merges: a pre-tokenizer, and what the family does besides. */
export interface PreTokenization {
  readonly preTokenizer: Stage;
  /** Whether text is brought to Unicode form C first. */
  readonly nfc?: boolean;
  /** Whether a word that is a token stays whole, whatever the merges say. */
  readonly ignoreMerges?: boolean;
  /** Whether the family starts every text with its first token when the file does not say. */
  readonly addBos?: boolean;
}

const sequence = (...pretokenizers: readonly Stage[]): Stage => ({ type: "Sequence", pretokenizers });
const split = (regex: string): Stage => ({
  type: "Split",
  pattern: { Regex: regex },
  behavior: "Isolated",
  invert: false,
});
/** Bytes to the 256-symbol alphabet, with GPT-2's own pattern or with none. */
const bytes = (useRegex: boolean): Stage => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: false,
  use_regex: useRegex,
});
const by = (...regexes: readonly string[]): Stage => sequence(...regexes.map(split), bytes(false));

const endings = "'s|'t|'re|'ve|'m|'ll|'d";
const tail = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
/** The pattern of cl100k and its many children, which differ in how many digits stay together. */
const cl100k = (digits: string): string =>
  `(?i:${endings})|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${tail}`;
const capitals = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const smalls = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
/** The pattern of o200k: words break between small and capital letters. */
const o200k = (ending: string, digits: string): string =>
  `[^\\r\\n\\p{L}\\p{N}]?${capitals}*${smalls}+${ending}|[^\\r\\n\\p{L}\\p{N}]?${capitals}+${smalls}*${ending}|` +
  `${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${tail}`;

const gpt2: PreTokenization = { preTokenizer: bytes(true) };
const digitsThenGpt2: PreTokenization = {
  preTokenizer: sequence({ type: "Digits", individual_digits: true }, bytes(true)),
};
const llama3: PreTokenization = { preTokenizer: by(cl100k("\\p{N}{1,3}")), ignoreMerges: true };
const qwen2: PreTokenization = { preTokenizer: by(cl100k("\\p{N}")), nfc: true };
const qwen35 = `(?i:${endings})|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${tail}`;
const cjk = "[一-龥\\u3040-\\u309f\\u30a0-\\u30ff]+";
const deepseekV3 = by(
  "\\p{N}{1,3}",
  cjk,
  "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|" +
    ` ?[\\p{P}\\p{S}]+[\\r\\n]*|${tail}`,
);
const deepseekCoder = sequence(
  split("[\\r\\n]"),
  split("\\s?\\p{L}+"),
  split("\\s?\\p{P}+"),
  split("[一-龥\\u0800-\\u4e00가-\\ud7ff]+"),
  { type: "Digits", individual_digits: true },
  bytes(false),
);

const table: Readonly<Record<string, PreTokenization>> = {
  "gpt-2": gpt2,
  default: gpt2,
  mpt: gpt2,
  olmo: gpt2,
  jais: gpt2,
  "phi-2": gpt2,
  "granite-docling": gpt2,
  smollm: digitsThenGpt2,
  starcoder: digitsThenGpt2,
  refact: digitsThenGpt2,
  codeshell: digitsThenGpt2,
  "command-r": digitsThenGpt2,
  exaone: digitsThenGpt2,
  minerva: digitsThenGpt2,
  "llama-bpe": { ...llama3, addBos: true },
  llama3: { ...llama3, addBos: true },
  "llama-v3": { ...llama3, addBos: true },
  "smaug-bpe": { ...llama3, addBos: true },
  dbrx: { preTokenizer: llama3.preTokenizer },
  lfm2: llama3,
  smollm3: llama3,
  glm4: { preTokenizer: llama3.preTokenizer },
  "chatglm-bpe": { preTokenizer: llama3.preTokenizer },
  falcon3: llama3,
  qwen2,
  "deepseek-r1-qwen": qwen2,
  stablelm2: { preTokenizer: qwen2.preTokenizer },
  hunyuan: { preTokenizer: qwen2.preTokenizer },
  megrez: qwen2,
  qwen35: { preTokenizer: by(qwen35), nfc: true },
  tekken: { preTokenizer: by(o200k("", "\\p{N}")), ignoreMerges: true },
  "gpt-4o": { preTokenizer: by(o200k(`(?i:${endings})?`, "\\p{N}{1,3}")) },
  llama4: { preTokenizer: by(o200k(`(?i:${endings})?`, "\\p{N}{1,3}")), addBos: true },
  "deepseek-coder": { preTokenizer: deepseekCoder },
  "deepseek-v3": { preTokenizer: deepseekV3 },
};

/** @throws Problem `invalid` for a name whose pattern is not known: guessing would give wrong tokens silently. */
export function preTokenizationOf(name: string): PreTokenization {
  const found = Object.hasOwn(table, name) ? table[name] : undefined;
  if (found) return found;
  throw new Problem(
    "invalid",
    `the GGUF file cuts text by the pre-tokenizer "${name}", which is not known here`,
    {
      remedy: `use the model's Hugging Face folder; known are ${Object.keys(table).join(", ")}`,
    },
  );
}
