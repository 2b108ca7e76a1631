/** Reading config.json: Hugging Face's spelling is kept, since it is a foreign format. */
import { type Static, type TObject, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { Problem } from "#protocol/problem";
import { ropeFields } from "./rope.ts";

const count = t.Integer({ minimum: 1 });

/** Keys that all models of the Llama line share. */
export const decoderFields = {
  hidden_size: count,
  num_hidden_layers: count,
  intermediate_size: count,
  num_attention_heads: count,
  num_key_value_heads: t.Optional(count),
  head_dim: t.Optional(count),
  rms_norm_eps: t.Number(),
  vocab_size: count,
  tie_word_embeddings: t.Optional(t.Boolean()),
  sliding_window: t.Optional(count),
  layer_types: t.Optional(t.Array(t.String())),
  ...ropeFields,
};
export const DecoderConfig = t.Object(decoderFields);
export type DecoderConfig = Static<typeof DecoderConfig>;

/** Checks a parsed config.json. A key that is null counts as absent, as transformers has it. Throws Problem. */
export function readConfig<T extends TObject>(schema: T, config: unknown): Static<T> {
  const given = withoutNulls(config);
  if (Value.Check(schema, given)) return given;
  const [error] = Value.Errors(schema, given);
  const key = error?.path.slice(1).replaceAll("/", ".") ?? "";
  const missing = error !== undefined && error.value === undefined;
  const what = missing ? `lacks '${key}'` : `has ${key} = ${JSON.stringify(error?.value)}: ${error?.message}`;
  throw new Problem("invalid", `config.json ${what}`, {
    param: key,
    remedy: "fetch the model again, or correct its config.json",
  });
}

function withoutNulls(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutNulls(inner)]));
}

export const headDimsOf = ({
  head_dim: dims,
  hidden_size: hidden,
  num_attention_heads: heads,
}: DecoderConfig) => dims ?? hidden / heads;

export const kvHeadsOf = (config: DecoderConfig): number =>
  config.num_key_value_heads ?? config.num_attention_heads;

/** Rows of queries that share a row of keys. */
export const groupOf = (config: DecoderConfig): number => config.num_attention_heads / kvHeadsOf(config);

/** The window of one layer where `layer_types` says so, undefined where attention is full. */
export function windowByType({ layer_types: types, sliding_window: window }: DecoderConfig, layer: number) {
  return types?.[layer] === "sliding_attention" ? window : undefined;
}
