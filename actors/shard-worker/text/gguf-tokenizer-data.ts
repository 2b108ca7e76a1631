/**
 * What a GGUF file says about its tokenizer: the keys `tokenizer.ggml.*` and `tokenizer.chat_template`, as plain data.
 * Whoever reads the file fills it; `gguf-tokenizer.ts` turns it into the shape of a `tokenizer.json`.
 * Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
export interface GgufTokenizerData {
  /** `tokenizer.ggml.model`: `gpt2` (byte-level BPE) or `llama` (SentencePiece BPE). */
  readonly model: string;
  /** `tokenizer.ggml.pre`: how text is cut before BPE (`smollm`, `llama-bpe`, `qwen2`, …). */
  readonly pre?: string;
  /** Every token, at its id. */
  readonly tokens: readonly string[];
  readonly scores?: Float32Array;
  /** 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
  readonly types?: Int32Array;
  /** Pairs of pieces with one space between them, best first. */
  readonly merges?: readonly string[];
  readonly bos?: number;
  readonly eos?: number;
  /** End of a turn, where it differs from `eos`. */
  readonly eot?: number;
  readonly unk?: number;
  readonly pad?: number;
  readonly addBos?: boolean;
  readonly addEos?: boolean;
  /** Whether text starts with a space that was not written (SentencePiece); absent means yes for `llama`. */
  readonly addSpacePrefix?: boolean;
  readonly chatTemplate?: string;
}
