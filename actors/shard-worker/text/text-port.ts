/** The text side of one model, as the engine wants it: prompts to ids, ids to text, and when to stop. */
import type { Prompt } from "#protocol/generation";
import { Problem } from "#protocol/problem";
import { Conversations } from "./conversation.ts";
import { type Detokenizer, detokenizerOf } from "./detokenizer.ts";
import { sourceFromGguf } from "./gguf-tokenizer.ts";
import type { GgufTokenizerData } from "./gguf-tokenizer-data.ts";
import { StopStrings } from "./stop-strings.ts";
import { bytesOf, spellingOf } from "./token-bytes.ts";
import { Tokenizer } from "./tokenizer.ts";
import { sourceFromFolder } from "./tokenizer-folder.ts";

export interface TextPort {
  /**
   * `most` is the number of tokens there is room for.
   * @throws Problem `invalid` for a conversation that cannot be written, or token ids that the model does not have;
   * `contextLength` for text that is so long that it cannot have as few tokens as `most`.
   */
  encode(prompt: Prompt, most?: number): readonly number[];
  /** Tokens that end an answer. */
  readonly endTokens: ReadonlySet<number>;
  /** One for each answer. */
  detokenizer(): Detokenizer;
  /** One token by itself: its text, and its UTF-8 bytes, which may be part of a character. Control tokens too. */
  tokenText(id: number): { text: string; bytes: number[] };
  /** One for each answer. */
  stops(strings: readonly string[]): StopStrings;
}

/** Where a model's tokenizer is: a Hugging Face folder, or what a GGUF file says. */
export type TextFiles = { readonly folder: string } | { readonly gguf: GgufTokenizerData };

/**
 * Opens a model's text side. It reads files and builds tables, for half a second with the largest vocabularies.
 * @param endTokens end tokens known from elsewhere, besides those that the tokenizer's own files name.
 * @param nowMs the clock, for templates that write the date.
 * @throws Problem `notFound` for missing files, `invalid` for files that cannot be used.
 */
export function openText(
  files: TextFiles,
  { endTokens = [], nowMs }: { readonly endTokens?: readonly number[]; readonly nowMs: () => number },
): TextPort {
  const tokenizer = new Tokenizer(
    "gguf" in files ? sourceFromGguf(files.gguf) : sourceFromFolder(files.folder),
  );
  const conversations = new Conversations(tokenizer, nowMs);
  const spelling = spellingOf(tokenizer.source.json.decoder);
  return {
    encode(prompt, most) {
      switch (prompt.type) {
        case "messages":
          return conversations.encode(prompt, most);
        case "text":
          return tokenizer.encodeText(prompt.text, { most });
        case "tokens":
          return known(prompt.tokens, tokenizer);
      }
    },
    endTokens: new Set([...tokenizer.source.ends, ...endTokens]),
    detokenizer: () => detokenizerOf(tokenizer, spelling),
    tokenText(id) {
      const bytes = bytesOf(tokenizer, spelling, id);
      return { text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes), bytes: [...bytes] };
    },
    stops: (strings) => new StopStrings(strings),
  };
}

/** Ids as they are. Ids past the vocabulary but within the embedding are the model's business, not ours to know. */
function known(tokens: readonly number[], tokenizer: Tokenizer): readonly number[] {
  const wrong = tokens.find((id) => !Number.isInteger(id) || id < 0 || id >= maxToken);
  if (wrong === undefined) return tokens;
  throw new Problem("invalid", `${wrong} is not a token id: the model's are 0 to ${tokenizer.size - 1}`, {
    param: "prompt",
    remedy: "send ids that the model's own tokenizer gave",
  });
}
/** Ids are kept in 32-bit integers; the engine checks them against the model's embedding. */
const maxToken = 2 ** 31;
