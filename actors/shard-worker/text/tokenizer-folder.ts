/** A model's tokenizer and chat templates from its Hugging Face folder. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "#protocol/problem";
import { preTokenizationOf } from "./gguf-pre-tokenizers.ts";
import type { AddedTokenEntry, TokenizerJson } from "./tokenizer-json.ts";
import type { TokenizerSource } from "./tokenizer-source.ts";

type Json = Readonly<Record<string, unknown>>;

const nameKeys = ["bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"];

/** @throws Problem `notFound` for a folder without a tokenizer, `invalid` for files that cannot be read. */
export function sourceFromFolder(folder: string): TokenizerSource {
  const config = jsonOf(folder, "tokenizer_config.json") ?? {};
  const special = jsonOf(folder, "special_tokens_map.json") ?? {};
  const names = Object.fromEntries(
    nameKeys.map((key) => [key, contentOf(config[key]) ?? contentOf(special[key])]),
  );
  const base = (jsonOf(folder, "tokenizer.json") as TokenizerJson | undefined) ?? legacy(folder, config);
  const control = new Set<string | undefined>([
    ...Object.values(names),
    ...listed(config),
    ...listed(special),
  ]);
  const json = {
    ...base,
    added_tokens: addedTokens(base, jsonOf(folder, "added_tokens.json"), config, control),
  };
  return {
    json,
    ends: endTokens(folder, json, names.eos_token),
    ...aroundText(config, names),
    names,
    templates: templatesOf(folder, config),
  };
}

/** Named outright, these replace what the post-processor does; transformers 5 reads them so. */
function aroundText(config: Json, names: Json): { addBos?: boolean; addEos?: boolean } {
  const { add_bos_token: bos, add_eos_token: eos } = config;
  if (typeof bos !== "boolean" && typeof eos !== "boolean") return {};
  return {
    addBos: bos === true && names.bos_token !== undefined,
    addEos: eos === true && names.eos_token !== undefined,
  };
}

/** A token is written as its text or as an object with `content`. */
function contentOf(token: unknown): string | undefined {
  if (typeof token === "string") return token;
  const content = (token as { readonly content?: unknown } | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
}

function listed(config: Json): readonly (string | undefined)[] {
  const more = config.additional_special_tokens;
  return Array.isArray(more) ? more.map(contentOf) : [];
}

/** The file's added tokens and those that only the configuration knows; control tokens marked as such. */
function addedTokens(
  json: TokenizerJson,
  extra: Json | undefined,
  config: Json,
  control: ReadonlySet<string | undefined>,
): readonly AddedTokenEntry[] {
  const known = new Map((json.added_tokens ?? []).map((entry) => [entry.id, entry]));
  const decoder = (config.added_tokens_decoder ?? {}) as Readonly<
    Record<string, Omit<AddedTokenEntry, "id">>
  >;
  for (const [id, entry] of Object.entries(decoder)) {
    if (!known.has(Number(id))) known.set(Number(id), { ...entry, id: Number(id) });
  }
  for (const [content, id] of Object.entries(extra ?? {})) {
    if (typeof id === "number" && !known.has(id))
      known.set(id, { id, content, special: false, normalized: false });
  }
  return [...known.values()].map((entry) =>
    control.has(entry.content) ? { ...entry, special: true } : entry,
  );
}

/** All that any of the files names: stopping at one token too many does less harm than at one too few. */
function endTokens(folder: string, json: TokenizerJson, eos: string | undefined): readonly number[] {
  const config = jsonOf(folder, "config.json");
  const nested = config?.text_config as Json | undefined;
  const named = [jsonOf(folder, "generation_config.json"), config, nested].flatMap(
    (each) => each?.eos_token_id,
  );
  const ids = named.filter((id) => typeof id === "number");
  const own = json.added_tokens.find(({ content }) => content === eos)?.id ?? vocabularyId(json, eos);
  return own === undefined ? ids : [...ids, own];
}

function vocabularyId(json: TokenizerJson, token: string | undefined): number | undefined {
  if (token === undefined) return undefined;
  const { vocab } = json.model;
  if (!isList(vocab)) return Object.hasOwn(vocab, token) ? vocab[token] : undefined;
  const at = vocab.findIndex(([piece]) => piece === token);
  return at < 0 ? undefined : at;
}

const isList = (vocab: TokenizerJson["model"]["vocab"]): vocab is readonly (readonly [string, number])[] =>
  Array.isArray(vocab);

/** The order in which a folder's templates count: `chat_template.jinja`, the configuration, `chat_template.json`. */
function templatesOf(folder: string, config: Json): Readonly<Record<string, string>> {
  const file = textOf(folder, "chat_template.jinja");
  if (file !== undefined) return { ...moreTemplates(folder), default: file };
  const written = config.chat_template ?? jsonOf(folder, "chat_template.json")?.chat_template;
  if (typeof written === "string") return { default: written };
  if (!Array.isArray(written)) return {};
  return Object.fromEntries(written.map(({ name, template }) => [String(name), String(template)]));
}

/** Templates with names have files of their own beside `chat_template.jinja`. */
function moreTemplates(folder: string): Readonly<Record<string, string>> {
  const place = join(folder, "additional_chat_templates");
  if (!existsSync(place)) return {};
  const files = readdirSync(place).filter((name) => name.endsWith(".jinja"));
  return Object.fromEntries(
    files.map((name) => [name.slice(0, -".jinja".length), textOf(place, name) ?? ""]),
  );
}

/** Byte-level BPE in the files that came before `tokenizer.json`. */
function legacy(folder: string, config: Json): TokenizerJson {
  const vocab = jsonOf(folder, "vocab.json") as Readonly<Record<string, number>> | undefined;
  const merges = textOf(folder, "merges.txt");
  if (!vocab || merges === undefined) throw withoutTokenizer(folder);
  const qwen = String(config.tokenizer_class ?? "").startsWith("Qwen");
  const pre = preTokenizationOf(qwen ? "qwen2" : "gpt-2");
  const lines = merges
    .split("\n")
    .filter((line, at) => line !== "" && !(at === 0 && line.startsWith("#version")));
  return {
    added_tokens: [],
    normalizer: pre.nfc ? { type: "NFC" } : null,
    pre_tokenizer: pre.preTokenizer,
    post_processor: null,
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", vocab, merges: lines.map((line) => line.replace(/\r$/, "").split(" ")) },
  };
}

function withoutTokenizer(folder: string): Problem {
  const other = ["tokenizer.model", "tiktoken.model"].find((name) => existsSync(join(folder, name)));
  const found = other === undefined ? "" : ` (its ${other} is not a form that is read here)`;
  return new Problem("notFound", `${folder} has no tokenizer${found}`, {
    param: "model",
    remedy:
      "put tokenizer.json and tokenizer_config.json beside the weights (or vocab.json and merges.txt, the older form); " +
      "conversions by mlx-community have them",
  });
}

function textOf(folder: string, name: string): string | undefined {
  const path = join(folder, name);
  if (!existsSync(path)) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new Problem("invalid", `${path} cannot be read: ${String(cause)}`, {
      param: "model",
      remedy: "check the file's permissions",
      cause,
    });
  }
}

function jsonOf(folder: string, name: string): Json | undefined {
  const text = textOf(folder, name);
  if (text === undefined) return undefined;
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Json;
  } catch (cause) {
    throw broken(join(folder, name), `${String(cause)}`);
  }
  throw broken(join(folder, name), "it does not hold an object");
}

const broken = (path: string, why: string): Problem =>
  new Problem("invalid", `${path} is not the JSON file it should be: ${why}`, {
    param: "model",
    remedy: "fetch the file again: it may have been cut short",
  });
