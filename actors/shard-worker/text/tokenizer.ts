/** Text to token ids, and what each id stands for. */
import { Tokenizer as Pipeline } from "@huggingface/tokenizers";
import { Problem } from "#protocol/problem";
import { AddedTokens } from "./added-tokens.ts";
import { leastTokens } from "./least-tokens.ts";
import { type AddedTokenEntry, repaired, type TokenizerJson } from "./tokenizer-json.ts";
import type { TokenizerSource } from "./tokenizer-source.ts";
import { tooLong } from "./too-long.ts";

/** Stands for the text itself where a post-processor is asked what it puts around it. */
const slot = "\u0000text\u0000";

export interface EncodeOptions {
  /**
   * A character that was put into control tokens to disarm them: it is taken out of ordinary text after the control
   * tokens have been found.
   */
  readonly mark?: string | undefined;
  /** The tokens that there is room for: text that cannot have so few is refused without being cut into tokens. */
  readonly most?: number | undefined;
}

/** An added token, or text to be cut into words; `index` is the place in the text of the section that it is from. */
type Placed = { readonly id: number } | { readonly text: string; readonly index: number };

/**
 * One model's tokenizer. The stages (normalizer, pre-tokenizer, model) are those of `@huggingface/tokenizers`; finding
 * added tokens and putting tokens around a text are done here, because the package knows neither `single_word` nor
 * `add_bos_token` and cannot leave control tokens in a text alone.
 */
export class Tokenizer {
  /** The added tokens by id. */
  readonly added: ReadonlyMap<number, AddedTokenEntry>;
  /** Tokens with a meaning to the model that users must not be able to write. */
  readonly control: AddedTokens;
  readonly source: TokenizerSource;
  readonly #pipeline: Pipeline;
  readonly #json: TokenizerJson;
  /** Known at the first text that is longer than its context has tokens. */
  #leastTokens: ((text: string) => number) | undefined;
  readonly #raw: AddedTokens;
  readonly #normalized: AddedTokens;
  readonly #around: { readonly before: readonly number[]; readonly after: readonly number[] };

  /** @throws Problem `invalid` for a tokenizer with a stage that is not supported. */
  constructor(source: TokenizerSource) {
    this.source = source;
    const json = repaired(source.json);
    this.#json = json;
    this.#pipeline = pipelineOf(json);
    const entries = json.added_tokens;
    this.added = new Map(entries.map((entry) => [entry.id, entry]));
    this.control = new AddedTokens(entries.filter(({ special }) => special));
    const { normalizer } = this.#pipeline;
    const isNormalized = (entry: AddedTokenEntry) =>
      normalizer !== null && (entry.normalized ?? !entry.special);
    this.#raw = new AddedTokens(entries.filter((entry) => !isNormalized(entry)));
    this.#normalized = new AddedTokens(
      entries
        .filter(isNormalized)
        .map((entry) => ({ ...entry, content: normalizer?.normalize(entry.content) ?? entry.content })),
    );
    this.#around = this.#surroundings();
  }

  /** The number of ids: one more than the greatest. */
  get size(): number {
    return this.#pipeline.model?.vocab.length ?? 0;
  }

  /** The token as the vocabulary spells it; undefined for an id that no token has. */
  piece(id: number): string | undefined {
    return this.#pipeline.id_to_token(id);
  }

  idOf(piece: string): number | undefined {
    return this.#pipeline.token_to_id(piece);
  }

  /** Bare text, between the tokens that the model wants around one. Control tokens written in it count as such. */
  encodeText(text: string, how: EncodeOptions = {}): number[] {
    return [...this.#around.before, ...this.encode(text, how), ...this.#around.after];
  }

  /** Text as it is, with nothing put around it. @throws Problem `contextLength` for text that is surely over `most`. */
  encode(text: string, { mark, most }: EncodeOptions = {}): number[] {
    const sections = this.#raw
      .split(text)
      .flatMap((section, index) => ("id" in section ? [section] : this.#sections(section.text, index, mark)));
    if (most !== undefined && text.length > most) this.#requireRoom(sections, most);
    const ids: number[] = [];
    for (const section of sections) {
      if ("id" in section) ids.push(section.id);
      else this.#encodeWords(section.text, section.index, ids);
    }
    return ids;
  }

  /** Any id sequence to text by the package's own decoder: for decoders that `detokenizer.ts` does not know. */
  decodeSlowly(ids: readonly number[]): string {
    const kept = ids.filter((id) => !this.added.get(id)?.special);
    return kept.length === 0 ? "" : this.#pipeline.decode(kept, { clean_up_tokenization_spaces: false });
  }

  /** Normalised, with the added tokens found that are sought in normalised text. */
  #sections(text: string, index: number, mark: string | undefined): Placed[] {
    const { normalizer } = this.#pipeline;
    const normal = normalizer ? normalizer.normalize(text) : text;
    return this.#normalized.split(normal).map((section) => {
      if ("id" in section) return section;
      return { text: mark === undefined ? section.text : section.text.replaceAll(mark, ""), index };
    });
  }

  /** Cutting a text into tokens takes seconds a million characters, while others wait; seeing its length takes none. */
  #requireRoom(sections: readonly Placed[], most: number): void {
    this.#leastTokens ??= leastTokens(this.#json);
    let least = 0;
    for (const section of sections) least += "id" in section ? 1 : this.#leastTokens(section.text);
    if (least > most) throw tooLong(most, `at least ${least}`);
  }

  /** `index` is the section's place in the text: some tokenizers put a space before the first only. */
  #encodeWords(text: string, index: number, into: number[]): void {
    const { pre_tokenizer: preTokenizer, model } = this.#pipeline;
    if (text === "" || !model) return;
    const words = preTokenizer ? preTokenizer.pre_tokenize(text, { section_index: index }) : [text];
    for (const token of model._call(words)) {
      const id = model.tokens_to_ids.get(token) ?? model.unk_token_id;
      if (id === undefined) continue;
      if (!this.added.get(id)?.special || id === model.unk_token_id) into.push(id);
      else this.#encodeParts(token, into);
    }
  }

  /** A word that happens to spell a control token whole, in pieces that do not. */
  #encodeParts(word: string, into: number[]): void {
    const { model } = this.#pipeline;
    if (!model) return;
    const [first = "", ...rest] = [...word];
    for (const part of [first, rest.join("")]) {
      if (part === "") continue;
      for (const token of model._call([part])) {
        const id = model.tokens_to_ids.get(token) ?? model.unk_token_id;
        if (id !== undefined) into.push(id);
      }
    }
  }

  /** What stands before and after a bare text: what the configuration says outright, else the post-processor. */
  #surroundings(): { before: readonly number[]; after: readonly number[] } {
    const { addBos, addEos, names } = this.source;
    const ids = (tokens: readonly (string | undefined)[]): readonly number[] =>
      tokens.flatMap((token) => (token === undefined ? [] : (this.idOf(token) ?? [])));
    if (addBos !== undefined || addEos !== undefined) {
      return {
        before: ids(addBos ? [names.bos_token] : []),
        after: ids(addEos ? [names.eos_token] : []),
      };
    }
    const tokens = this.#pipeline.post_processor?.post_process([slot], null, true).tokens ?? [slot];
    const at = tokens.indexOf(slot);
    return at < 0
      ? { before: [], after: [] }
      : { before: ids(tokens.slice(0, at)), after: ids(tokens.slice(at + 1)) };
  }
}

function pipelineOf(json: TokenizerSource["json"]): Pipeline {
  try {
    return new Pipeline(json, { clean_up_tokenization_spaces: false });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Problem("invalid", `the model's tokenizer cannot be used: ${why}`, {
      remedy: "use another conversion of the model, one whose tokenizer.json is a standard one",
      cause,
    });
  }
}
