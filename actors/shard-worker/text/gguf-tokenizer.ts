/** A GGUF file's tokenizer in the shape of a `tokenizer.json`. */
import { Problem } from "#protocol/problem";
import { preTokenizationOf } from "./gguf-pre-tokenizers.ts";
import type { GgufTokenizerData } from "./gguf-tokenizer-data.ts";
import type { AddedTokenEntry, Stage, TokenizerJson } from "./tokenizer-json.ts";
import type { TokenizerSource } from "./tokenizer-source.ts";

/** Token types of the format. */
const normal = 1;
const unknown = 2;
const control = 3;
const userDefined = 4;
const byte = 6;

/**
 * Names under which model families end a turn or a text. Files often name one end token where the model has two,
 * so control tokens of these names end an answer too.
 */
const endNames = new Set([
  "<|im_end|>",
  "<|eot_id|>",
  "<|eom_id|>",
  "<|end_of_text|>",
  "<|endoftext|>",
  "<|end_of_turn|>",
  "<end_of_turn>",
  "<end_of_utterance>",
  "<|eot|>",
  "<|end|>",
  "<|observation|>",
  "<|return|>",
  "<|call|>",
]);

/** @throws Problem `invalid` for a tokenizer kind that is not known, or one without the keys it needs. */
export function sourceFromGguf(data: GgufTokenizerData): TokenizerSource {
  const { json, addBos } = data.model === "gpt2" ? byteLevel(data) : sentencePiece(data);
  const name = (id: number | undefined): string | undefined =>
    id === undefined ? undefined : data.tokens[id];
  const bos = name(data.bos);
  const eos = name(data.eos);
  return {
    json,
    ends: endTokens(data),
    addBos: data.addBos ?? addBos,
    addEos: data.addEos ?? false,
    names: {
      ...(bos !== undefined && { bos_token: bos }),
      ...(eos !== undefined && { eos_token: eos }),
      unk_token: name(data.unk),
      pad_token: name(data.pad),
    },
    templates: data.chatTemplate === undefined ? {} : { default: data.chatTemplate },
  };
}

function endTokens(data: GgufTokenizerData): readonly number[] {
  const named = data.tokens.flatMap((token, id) =>
    data.types?.[id] === control && endNames.has(token) ? [id] : [],
  );
  // Where an answer has several messages, `<|end|>` ends a message and `<|return|>` the answer.
  const goesOn = named.some((id) => data.tokens[id] === "<|return|>");
  const ends = goesOn ? named.filter((id) => data.tokens[id] !== "<|end|>") : named;
  return [data.eos, data.eot, ...ends].filter((id) => id !== undefined);
}

interface Converted {
  readonly json: TokenizerJson;
  readonly addBos: boolean;
}

function byteLevel(data: GgufTokenizerData): Converted {
  const pre = preTokenizationOf(data.pre ?? "default");
  if (!data.merges) throw missing("tokenizer.ggml.merges");
  return {
    addBos: pre.addBos ?? false,
    json: {
      added_tokens: addedTokens(data),
      normalizer: pre.nfc ? { type: "NFC" } : null,
      pre_tokenizer: pre.preTokenizer,
      post_processor: null,
      decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
      model: {
        type: "BPE",
        vocab: vocabulary(data),
        // A piece holds no space (its symbol stands for it), so the one space parts the pair.
        merges: data.merges.map((pair) => pair.split(" ")),
        ignore_merges: pre.ignoreMerges ?? false,
      },
    },
  };
}

function sentencePiece(data: GgufTokenizerData): Converted {
  if (data.model !== "llama") {
    throw new Problem(
      "invalid",
      `the GGUF file's tokenizer is of the kind "${data.model}", which is not supported`,
      {
        remedy:
          "supported are gpt2 (byte-level BPE) and llama (SentencePiece BPE); use the model's Hugging Face folder",
      },
    );
  }
  const { scores } = data;
  if (!scores) throw missing("tokenizer.ggml.scores");
  const prefix = data.addSpacePrefix ?? true;
  const spaces: Stage = { type: "Replace", pattern: { String: " " }, content: "▁" };
  return {
    addBos: true,
    json: {
      added_tokens: addedTokens(data),
      normalizer: prefix
        ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, spaces] }
        : spaces,
      pre_tokenizer: null,
      post_processor: null,
      decoder: {
        type: "Sequence",
        decoders: [
          { type: "Replace", pattern: { String: "▁" }, content: " " },
          { type: "ByteFallback" },
          { type: "Fuse" },
          ...(prefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
        ],
      },
      model: {
        type: "BPE",
        vocab: vocabulary(data),
        merges: mergesByScore(data, scores),
        unk_token: data.tokens[data.unk ?? 0] ?? "<unk>",
        byte_fallback: true,
        fuse_unk: true,
      },
    },
  };
}

const missing = (key: string): Problem =>
  new Problem("invalid", `the GGUF file has no ${key}, which its tokenizer needs`, {
    remedy: "convert the model again, or use its Hugging Face folder",
  });

const vocabulary = (data: GgufTokenizerData): Record<string, number> =>
  // A null prototype: a token may be called "__proto__".
  Object.assign(Object.create(null), Object.fromEntries(data.tokens.map((token, id) => [token, id])));

/** Control and user-defined tokens: found in text as they are, never built by merges. */
function addedTokens(data: GgufTokenizerData): readonly AddedTokenEntry[] {
  return data.tokens.flatMap((content, id) => {
    const type = data.types?.[id] ?? normal;
    if (type !== control && type !== userDefined && type !== unknown) return [];
    return content === "" ? [] : [{ id, content, special: type !== userDefined, normalized: false }];
  });
}

/**
 * The merges that a SentencePiece BPE model implies: every way to make a token of two others, tokens of the best
 * score first. Ways for one token are ordered by the ids of their parts.
 */
function mergesByScore(
  data: GgufTokenizerData,
  scores: Float32Array,
): readonly (readonly [string, string])[] {
  const ids = new Map<string, number>();
  data.tokens.forEach((token, id) => {
    const type = data.types?.[id] ?? normal;
    if (type !== control && type !== unknown && type !== byte) ids.set(token, id);
  });
  const merges: { readonly score: number; readonly parts: readonly [number, number] }[] = [];
  for (const [token, id] of ids) {
    const symbols = [...token];
    for (let cut = 1; cut < symbols.length; cut++) {
      const left = ids.get(symbols.slice(0, cut).join(""));
      const right = ids.get(symbols.slice(cut).join(""));
      if (left !== undefined && right !== undefined)
        merges.push({ score: scores[id] ?? 0, parts: [left, right] });
    }
  }
  merges.sort((a, b) => b.score - a.score || a.parts[0] - b.parts[0] || a.parts[1] - b.parts[1]);
  return merges.map(({ parts: [left, right] }) => [data.tokens[left] ?? "", data.tokens[right] ?? ""]);
}
