/**
 * The shape of a `tokenizer.json`, as far as it is read here, and the repairs that make the parser of
 * `@huggingface/tokenizers` agree with the reference on the parts that it leaves out.
 * Format: https://huggingface.co/docs/tokenizers
 */

/** One entry of `added_tokens`. */
export interface AddedTokenEntry {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  readonly single_word?: boolean;
  readonly normalized?: boolean;
}

/** A pipeline stage: `type` names it, the rest depends on the type. */
export interface Stage {
  readonly type: string;
  readonly [option: string]: unknown;
}

/** The model: a vocabulary and how to cut a word into it. */
export interface ModelEntry {
  readonly type?: string;
  readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[];
  readonly [option: string]: unknown;
}

export interface TokenizerJson {
  readonly added_tokens: readonly AddedTokenEntry[];
  readonly normalizer: Stage | null;
  readonly pre_tokenizer: Stage | null;
  readonly post_processor: Stage | null;
  readonly decoder: Stage | null;
  readonly model: ModelEntry;
}

/** The same tokenizer in the terms that the JavaScript parser honours. */
export function repaired(json: TokenizerJson): TokenizerJson {
  return {
    ...json,
    added_tokens: json.added_tokens ?? [],
    normalizer: json.normalizer ?? null,
    pre_tokenizer: json.pre_tokenizer ? repairedPreTokenizer(json.pre_tokenizer) : null,
    post_processor: json.post_processor ?? null,
    decoder: json.decoder ?? null,
  };
}

/** The stages inside a `Sequence` (whatever its kind calls them), or the stage itself. */
export function stagesOf(
  stage: Stage | null,
  key: "pretokenizers" | "normalizers" | "decoders",
): readonly Stage[] {
  if (!stage) return [];
  if (stage.type !== "Sequence") return [stage];
  const inner = Array.isArray(stage[key]) ? (stage[key] as readonly Stage[]) : [];
  return inner.flatMap((each) => stagesOf(each, key));
}

function repairedPreTokenizer(stage: Stage): Stage {
  if (stage.type === "Sequence") {
    return { ...stage, pretokenizers: stagesOf(stage, "pretokenizers").map(repairedPreTokenizer) };
  }
  if (stage.type === "Split") return repairedSplit(stage);
  if (stage.type === "Digits") {
    // The reference means every number sign; the parser only 0 to 9.
    return isolated(stage.individual_digits ? "\\p{N}" : "\\p{N}+");
  }
  if (stage.type === "Metaspace" && stage.split !== false) {
    // The reference cuts before every replacement character; the parser only inserts them.
    const mark = escaped(String(stage.replacement ?? "▁"));
    return { type: "Sequence", pretokenizers: [stage, isolated(`${mark}[^${mark}]*|[^${mark}]+`)] };
  }
  return stage;
}

/** A `Split` whose behaviour the parser does not know, as an `Isolated` one over a wider pattern. */
function repairedSplit(stage: Stage): Stage {
  const pattern = stage.pattern as { readonly Regex?: string; readonly String?: string } | undefined;
  const source = pattern?.Regex ?? (pattern?.String === undefined ? undefined : escaped(pattern.String));
  if (source === undefined || stage.invert === true) return stage;
  const other = `(?:(?!${source})[\\s\\S])`;
  const wider: Record<string, string> = {
    MergedWithPrevious: `${other}*(?:${source})|${other}+`,
    MergedWithNext: `(?:${source})${other}*|${other}+`,
    Contiguous: `(?:${source})+|${other}+`,
  };
  const regex = wider[String(stage.behavior)];
  return regex === undefined ? stage : isolated(regex);
}

/** Cuts text so that every match stands alone. */
const isolated = (regex: string): Stage => ({
  type: "Split",
  pattern: { Regex: regex },
  behavior: "Isolated",
  invert: false,
});

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
