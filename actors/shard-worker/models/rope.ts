/**
 * Rotary position embedding in every variant that a checkpoint may ask for. Formulas: transformers'
 * `modeling_rope_utils`, YaRN https://arxiv.org/abs/2309.00071, LongRoPE https://arxiv.org/abs/2402.13753.
 */
import { type Static, Type as t } from "@sinclair/typebox";
import type { Mlx, MxArray, Rotation } from "#ffi/array";
import { Problem } from "#protocol/problem";
import {
  llama3Periods,
  longropePeriods,
  proportionalPeriods,
  type Spectrum,
  yarnPeriods,
} from "./rope-periods.ts";

const number = t.Optional(t.Number());

/** `rope_scaling` of older files and `rope_parameters` of newer ones, in Hugging Face's spelling. */
export const RopeParameters = t.Object({
  type: t.Optional(t.String()),
  rope_type: t.Optional(t.String()),
  rope_theta: number,
  factor: number,
  partial_rotary_factor: number,
  original_max_position_embeddings: number,
  low_freq_factor: number,
  high_freq_factor: number,
  beta_fast: number,
  beta_slow: number,
  mscale: number,
  mscale_all_dim: number,
  attention_factor: number,
  truncate: t.Optional(t.Boolean()),
  long_factor: t.Optional(t.Array(t.Number())),
  short_factor: t.Optional(t.Array(t.Number())),
  mrope_section: t.Optional(t.Array(t.Number())),
});
export type RopeParameters = Static<typeof RopeParameters>;

/** What a config says of positions, in whichever of the two spellings. */
export const ropeFields = {
  rope_theta: number,
  rope_traditional: t.Optional(t.Boolean()),
  rope_scaling: t.Optional(RopeParameters),
  rope_parameters: t.Optional(RopeParameters),
  partial_rotary_factor: number,
  max_position_embeddings: t.Optional(t.Integer({ minimum: 1 })),
  original_max_position_embeddings: t.Optional(t.Integer({ minimum: 1 })),
};
const RopeConfig = t.Object(ropeFields);
export type RopeConfig = Static<typeof RopeConfig>;

/** How queries and keys [B, H, L, D] turn. */
export interface Rope {
  /** Rotates rows whose first is at absolute position `offset`. */
  rotate(x: MxArray, offset: number): MxArray;
  /** What `rotate` does to channels before it turns them; absent: nothing. */
  readonly prepare?: ((x: MxArray) => MxArray) | undefined;
  /** How rows turn then, in a sequence of `length` tokens with them. */
  rotation(length: number): Rotation;
}

function ropeOf(rotation: Rope["rotation"], prepare?: Rope["prepare"]): Rope {
  const rotate = (x: MxArray, offset: number): MxArray =>
    (prepare?.(x) ?? x).rope({ ...rotation(offset + (x.shape[2] ?? 1)), offset });
  return { prepare, rotation, rotate };
}

const DEFAULT_THETA = 10_000;
/** What transformers assumes where a config names no longest position. */
const DEFAULT_POSITIONS = 2048;

/** The two spellings joined; a value inside `rope_parameters` wins over one beside it. */
function parametersOf(
  config: RopeConfig,
  theta: number,
): RopeParameters & { rope_theta: number; kind: string } {
  const given = { ...config.rope_scaling, ...config.rope_parameters };
  return {
    ...given,
    rope_theta: given.rope_theta ?? config.rope_theta ?? theta,
    kind: given.type ?? given.rope_type ?? "default",
  };
}

/** Longest context in tokens that the positions reach, scaling included; undefined where the config does not say. */
export function contextLengthOf(config: RopeConfig): number | undefined {
  const positions = config.max_position_embeddings;
  const {
    kind,
    factor = 1,
    original_max_position_embeddings: original,
  } = parametersOf(config, DEFAULT_THETA);
  if (positions === undefined) return undefined;
  if (kind === "linear" || kind === "dynamic") return Math.round(positions * factor);
  if (kind.endsWith("yarn")) return Math.max(positions, Math.round((original ?? positions) * factor));
  return positions;
}

/** Whether a token turns otherwise when more follow it in one pass. */
export const ropeDependsOnLength = (config: RopeConfig): boolean =>
  parametersOf(config, DEFAULT_THETA).kind === "dynamic";

/**
 * The rotation for heads of `headDims` channels. Throws Problem for a kind that is not known. `theta` is the
 * architecture's own default.
 */
export function createRope(config: RopeConfig, headDims: number, mlx: Mlx, theta = DEFAULT_THETA): Rope {
  const parameters = parametersOf(config, theta);
  const { kind, rope_theta: base } = parameters;
  const partial = parameters.partial_rotary_factor ?? config.partial_rotary_factor ?? 1;
  // A proportional rotation is spread over the whole head: the channels beyond the share turn by nothing.
  const dims = kind === "proportional" ? headDims : Math.trunc(headDims * partial);
  const positions = config.max_position_embeddings ?? DEFAULT_POSITIONS;
  const original =
    parameters.original_max_position_embeddings ?? config.original_max_position_embeddings ?? positions;
  const traditional = config.rope_traditional ?? false;
  const spectrum: Spectrum = { dims, base, factor: parameters.factor ?? 1, original, positions, partial };

  if (kind === "default" || kind === "mrope" || kind === "linear") {
    checkSections(kind, parameters.mrope_section);
    const rotation: Rotation = {
      dims,
      traditional,
      base,
      scale: kind === "linear" ? 1 / spectrum.factor : 1,
    };
    return ropeOf(() => rotation);
  }
  if (kind === "dynamic") return dynamicRope(spectrum, traditional);
  const { periods, amplitude } = scaled(kind, spectrum, parameters);
  const freqs = mlx.fromFloat32(Float32Array.from(periods), [periods.length]);
  const rotation: Rotation = { dims, traditional, freqs, scale: 1 };
  return ropeOf(() => rotation, amplifier(amplitude, dims, headDims, mlx));
}

/** Periods per channel pair, and what the rotated channels are multiplied by. */
function scaled(kind: string, spectrum: Spectrum, parameters: RopeParameters) {
  switch (kind) {
    case "llama3":
      return { periods: llama3Periods(spectrum, parameters), amplitude: 1 };
    case "yarn":
    case "deepseek_yarn":
    case "telechat3-yarn":
      return yarnPeriods(spectrum, parameters);
    case "longrope":
    case "su":
      return longropePeriods(spectrum, parameters);
    case "proportional":
      return { periods: proportionalPeriods(spectrum), amplitude: 1 };
    default:
      throw new Problem("invalid", `config.json asks for rope scaling '${kind}', which is not known`, {
        param: "rope_scaling",
        remedy: "known are default, linear, dynamic, llama3, yarn, longrope, proportional and mrope",
      });
  }
}

/** Dynamic NTK: the base grows once the sequence is longer than the positions trained on. */
function dynamicRope({ dims, base, factor, positions }: Spectrum, traditional: boolean): Rope {
  return ropeOf((length) => {
    const stretch = (factor * Math.max(length, positions)) / positions - (factor - 1);
    return { dims, traditional, base: base * stretch ** (dims / (dims - 2)), scale: 1 };
  });
}

/** Multiplies the rotated channels, which is what transformers does to its cosines and sines. */
function amplifier(amplitude: number, dims: number, headDims: number, mlx: Mlx): Rope["prepare"] {
  if (amplitude === 1) return undefined;
  if (dims === headDims) return (x) => x.mul(amplitude);
  const perChannel = new Float32Array(headDims).fill(1).fill(amplitude, 0, dims);
  const factors = mlx.fromFloat32(perChannel, [headDims]);
  return (x) => x.mul(factors).astype(x.dtype);
}

/** Text alone turns all sections of mrope alike, so only their number is checked. */
function checkSections(kind: string, sections: readonly number[] | undefined): void {
  if (kind === "mrope" && sections !== undefined && sections.length !== 3) {
    throw new Problem("invalid", `mrope_section has ${sections.length} entries, 3 are needed`, {
      param: "rope_scaling",
    });
  }
}
