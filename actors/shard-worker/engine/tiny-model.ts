/** A small real model for tests: a llama of one or two layers with weights from a formula, over the built library. */
import type { Dtype, Mlx, MxArray } from "#ffi/array";
import { weightsOf } from "#ffi/cursor";
import type { TensorSource } from "#ffi/weights";
import type { LayerRange } from "#protocol/shard";
import type { Model } from "../models/model.ts";
import { buildModel } from "../models/registry.ts";

export const TINY_VOCABULARY = 32;
const HIDDEN = 32;
const FF = 48;
const KV = 16;

export interface TinyOptions {
  readonly layers?: number;
  /** Makes all layers slide. */
  readonly window?: number;
  readonly range?: LayerRange;
  /** In which it computes. */
  readonly dtype?: Dtype;
}

export function tinyModel(
  mlx: Mlx,
  { layers = 2, window, range, dtype = "float32" }: TinyOptions = {},
): Model {
  const config = {
    model_type: "llama",
    hidden_size: HIDDEN,
    num_hidden_layers: layers,
    intermediate_size: FF,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    rms_norm_eps: 1e-5,
    vocab_size: TINY_VOCABULARY,
    max_position_embeddings: 8192,
    tie_word_embeddings: false,
    ...(window && {
      sliding_window: window,
      layer_types: Array.from({ length: layers }, () => "sliding_attention"),
    }),
  };
  return buildModel(config, weightsOf(tinySource(mlx), mlx, { dtype }), range);
}

function tinySource(mlx: Mlx): TensorSource {
  const shapeOf = (name: string): number[] => {
    if (name.includes("norm")) return [HIDDEN];
    if (/embed_tokens|lm_head/.test(name)) return [TINY_VOCABULARY, HIDDEN];
    if (/[kv]_proj/.test(name)) return [KV, HIDDEN];
    if (name.includes("down_proj")) return [HIDDEN, FF];
    return /gate_proj|up_proj/.test(name) ? [FF, HIDDEN] : [HIDDEN, HIDDEN];
  };
  return {
    has: (name) => name.endsWith(".weight") && !name.includes(".bias"),
    shapeOf,
    quantisation: () => undefined,
    tensor(name): MxArray {
      const shape = shapeOf(name);
      const [rows = 1, columns = 1] = shape;
      const salt = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
      const values = Float32Array.from({ length: rows * columns }, (_, i) =>
        scrambled(i * 7919 + salt * 104_729),
      );
      return mlx.fromFloat32(
        shape.length === 1 ? values.map((value) => 1 + value / 4) : values.map((value) => value / 2),
        shape,
      );
    },
  };
}

/** In [-1, 1), without pattern that a matrix would show. */
function scrambled(n: number): number {
  const wave = Math.sin(n) * 43_758.5453;
  return 2 * (wave - Math.floor(wave)) - 1;
}
