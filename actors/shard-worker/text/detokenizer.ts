/** Token ids to text as they come, never half a character. */
import { bytesOf, type Spelling } from "./token-bytes.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface Detokenizer {
  /** The whole characters that this token completes; empty while a character is unfinished. */
  push(id: number): string;
  /** What is left: an unfinished character becomes U+FFFD. */
  flush(): string;
}

/**
 * A new answer's detokenizer. What it gives in all is what the reference gives for the whole sequence with control
 * tokens skipped and no clean-up of spaces; only a run of broken bytes may count fewer U+FFFD.
 */
export const detokenizerOf = (tokenizer: Tokenizer, spelling: Spelling): Detokenizer =>
  spelling.type === "other" ? new WholeDetokenizer(tokenizer) : new ByteDetokenizer(tokenizer, spelling);

class ByteDetokenizer implements Detokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #spelling: Exclude<Spelling, { type: "other" }>;
  // A byte order mark is a character like any other.
  readonly #utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  #strip: number;
  #first = true;

  constructor(tokenizer: Tokenizer, spelling: Exclude<Spelling, { type: "other" }>) {
    this.#tokenizer = tokenizer;
    this.#spelling = spelling;
    this.#strip = spelling.type === "spaces" ? spelling.strip : 0;
  }

  push(id: number): string {
    if (this.#tokenizer.added.get(id)?.special) return "";
    const text = this.#utf8.decode(this.#bytes(id), { stream: true });
    return this.#strip > 0 ? this.#stripped(text) : text;
  }

  flush(): string {
    return this.#utf8.decode();
  }

  #bytes(id: number): Uint8Array {
    const bytes = bytesOf(this.#tokenizer, this.#spelling, id);
    if (!this.#first) return bytes;
    this.#first = false;
    if (this.#spelling.type !== "spaces" || !this.#spelling.wholeFirst) return bytes;
    const { mark } = this.#spelling;
    return new TextEncoder().encode((this.#tokenizer.piece(id) ?? "").replaceAll(mark, ""));
  }

  /** Takes spaces off the very start, as many as the decoder does. */
  #stripped(text: string): string {
    let cut = 0;
    while (cut < text.length && this.#strip > 0 && text[cut] === " ") {
      cut++;
      this.#strip--;
    }
    if (cut < text.length) this.#strip = 0;
    return text.slice(cut);
  }
}

/**
 * For decoders that are not a matter of bytes (WordPiece and the like): the whole answer is decoded again for each
 * token, so its cost grows with the square of the length.
 */
class WholeDetokenizer implements Detokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #ids: number[] = [];
  #given = "";

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  push(id: number): string {
    this.#ids.push(id);
    const text = this.#tokenizer.decodeSlowly(this.#ids);
    return text.endsWith("\ufffd") ? "" : this.#rest(text);
  }

  flush(): string {
    return this.#rest(this.#tokenizer.decodeSlowly(this.#ids));
  }

  #rest(text: string): string {
    const rest = text.startsWith(this.#given) ? text.slice(this.#given.length) : "";
    this.#given += rest;
    return rest;
  }
}
