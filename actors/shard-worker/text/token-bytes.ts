/** What each token adds to the text, as bytes. */
import type { Tokenizer } from "./tokenizer.ts";
import { type Stage, stagesOf } from "./tokenizer-json.ts";

/** How a tokenizer writes bytes in its vocabulary, and what it takes off the start of a text. */
export type Spelling = { readonly type: "byteLevel" } | Spaces | { readonly type: "other" };

export interface Spaces {
  readonly type: "spaces";
  /** The symbol that stands for a space. */
  readonly mark: string;
  /** How many spaces the start of a text loses. */
  readonly strip: number;
  /** Whether `<0x41>` is a byte rather than a text of six characters. */
  readonly bytes: boolean;
  /** The first token loses all its marks, not just one space. */
  readonly wholeFirst: boolean;
}

const utf8 = new TextEncoder();

/**
 * GPT-2's alphabet: each byte has a printable symbol; 68 bytes that print badly are given the symbols from U+0100.
 * https://github.com/openai/gpt-2/blob/master/src/encoder.py
 */
export const symbolBytes: ReadonlyMap<string, number> = (() => {
  const prints = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  let spare = 0x100;
  return new Map(
    Array.from({ length: 256 }, (_, byte) => [String.fromCharCode(prints(byte) ? byte : spare++), byte]),
  );
})();

/** How the tokenizer's decoder spells; `other` where only the whole decoder can tell. */
export function spellingOf(decoder: Stage | null): Spelling {
  const stages = stagesOf(decoder, "decoders");
  if (stages.length === 0) return { type: "other" };
  if (stages.every(({ type }) => type === "ByteLevel")) return { type: "byteLevel" };
  let spelling: Spaces = { type: "spaces", mark: "▁", strip: 0, bytes: false, wholeFirst: false };
  for (const stage of stages) {
    const change = changeBy(stage);
    if (!change) return { type: "other" };
    spelling = { ...spelling, ...change };
  }
  return spelling;
}

/** What one stage says of the spelling; undefined for a stage that does something else. */
function changeBy(stage: Stage): Partial<Spaces> | undefined {
  switch (stage.type) {
    case "ByteFallback":
      return { bytes: true };
    case "Fuse":
      return {};
    case "Metaspace":
      return { mark: String(stage.replacement ?? "▁"), wholeFirst: stage.prepend_scheme !== "never" };
    case "Replace": {
      const mark = (stage.pattern as { readonly String?: string } | undefined)?.String;
      return stage.content === " " && mark !== undefined ? { mark } : undefined;
    }
    case "Strip":
      return stage.content === " " && !stage.stop ? { strip: Number(stage.start ?? 0) } : undefined;
    default:
      return undefined;
  }
}

/**
 * The UTF-8 bytes that a token stands for, maybe part of a character; an added token stands for its own text.
 * No bytes for an id that no token has.
 */
export function bytesOf(tokenizer: Tokenizer, spelling: Spelling, id: number): Uint8Array {
  const added = tokenizer.added.get(id);
  const piece = added?.content ?? tokenizer.piece(id) ?? "";
  if (spelling.type === "spaces") {
    const byte = added || !spelling.bytes ? null : /^<0x([0-9A-Fa-f]{2})>$/.exec(piece);
    if (byte) return Uint8Array.of(Number.parseInt(byte[1] ?? "", 16));
    return utf8.encode(piece.replaceAll(spelling.mark, " "));
  }
  if (spelling.type === "other" || added) return utf8.encode(piece);
  const bytes = new Uint8Array(piece.length);
  for (let at = 0; at < piece.length; at++) {
    const byte = symbolBytes.get(piece.charAt(at));
    // A symbol outside the alphabet: the token was put in by hand and means its own text.
    if (byte === undefined) return utf8.encode(piece);
    bytes[at] = byte;
  }
  return bytes;
}
