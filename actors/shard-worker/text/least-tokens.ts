/** How few tokens a text can have, so that what cannot fit a context is refused before it is cut into tokens. */
import { symbolBytes } from "./token-bytes.ts";
import { type Stage, stagesOf, type TokenizerJson } from "./tokenizer-json.ts";

/**
 * A lower bound on the tokens of normalised text, in time linear in its length. It is that of a BPE that cuts and puts
 * in but drops nothing, and whose every merge makes a token: its tokens' pieces, put together, are then the text, so
 * that there are as many of them at least as the longest piece goes into it. Byte-level pieces have a symbol for each
 * byte, less the bytes that have no token at all; in others a character has its own units, or a token (`<0x41>`) for
 * each of its bytes. For any other tokenizer the bound is 0.
 */
export function leastTokens({ pre_tokenizer: preTokenizer, model }: TokenizerJson): (text: string) => number {
  const { type, vocab, merges } = model;
  if (type !== "BPE" || Array.isArray(vocab) || !Array.isArray(merges)) return unknown;
  const pieces = new Set(Object.keys(vocab));
  const stages = stagesOf(preTokenizer, "pretokenizers");
  const dropsNothing =
    stages.every(keepsAll) &&
    !model.end_of_word_suffix &&
    !model.continuing_subword_suffix &&
    merges.every((merge) => pieces.has(productOf(merge)));
  if (!dropsNothing) return unknown;
  const longest = [...pieces].reduce((most, piece) => Math.max(most, piece.length), 1);
  if (stages.some((stage) => stage.type === "ByteLevel")) {
    const known = Uint8Array.from({ length: 256 });
    for (const [symbol, byte] of symbolBytes) known[byte] = pieces.has(symbol) ? 1 : 0;
    return (text) => Math.ceil(count(utf8.encode(text), known) / longest);
  }
  return model.byte_fallback === true && hasBytes(pieces)
    ? (text) => Math.ceil(text.length / longest)
    : unknown;
}

const utf8 = new TextEncoder();
const unknown = (): number => 0;

function count(bytes: Uint8Array, known: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum += known[byte] ?? 0;
  return sum;
}

/** Whether the stage only cuts, or puts in: known kinds, in the words that the parser honours. */
function keepsAll(stage: Stage): boolean {
  switch (stage.type) {
    case "ByteLevel":
      return true;
    case "Metaspace":
      return stage.str_rep === undefined && stage.replacement !== "";
    case "Split":
      return stage.invert !== true && String(stage.behavior).toLowerCase() !== "removed";
    default:
      return false;
  }
}

const productOf = (merge: unknown): string =>
  Array.isArray(merge) ? merge.join("") : String(merge).split(" ", 2).join("");

/** Whether every byte has a token of its own, so that no character is unknown. */
const hasBytes = (pieces: ReadonlySet<string>): boolean =>
  Array.from({ length: 256 }, (_, byte) => byte.toString(16).toUpperCase().padStart(2, "0")).every((code) =>
    pieces.has(`<0x${code}>`),
  );
