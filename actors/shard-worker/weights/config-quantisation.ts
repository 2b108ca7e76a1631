/** `quantization` of an MLX checkpoint's config.json: one rule for all modules, and exceptions by path. */
import type { Quantisation } from "#ffi/array";
import { Problem } from "#protocol/problem";
import type { ModelConfig } from "./config.ts";
import { isRecord, withoutNulls } from "./config-entries.ts";
import { quoted } from "./file-bytes.ts";

export interface QuantisationRules {
  /** For every module that has scales and no rule of its own. */
  readonly everywhere: Quantisation;
  /** `false`: not packed, whatever else is there. */
  readonly byPath: ReadonlyMap<string, Quantisation | false>;
}

/** What MLX packs: bits and group sizes by mode, the first of each being what a config without the key means. */
const possible: Readonly<
  Record<string, { readonly bits: readonly number[]; readonly groups: readonly number[] }>
> = {
  affine: { bits: [4, 2, 3, 5, 6, 8], groups: [64, 32, 128] },
  mxfp4: { bits: [4], groups: [32] },
  mxfp8: { bits: [8], groups: [32] },
  nvfp4: { bits: [4], groups: [16] },
};

/**
 * The rules, or undefined for a checkpoint that is not packed. Throws Problem for a packing that MLX does not know.
 * An exception without a mode is affine even where the rule for all is not: so the files are written.
 */
export function quantisationRules(path: string, config: ModelConfig): QuantisationRules | undefined {
  const { quantization: own, quantization_config: shared } = config;
  const given = own ?? shared;
  if (given === undefined) return undefined;
  if (!isRecord(given))
    throw new Problem("invalid", `${path} has quantization = ${quoted(given)}`, { param: "quantization" });
  const method = own === undefined ? given.quant_method : undefined;
  if (method !== undefined && method !== "mlx") throw foreign(path, method);
  const everywhere = quantisationOf(path, "quantization", given);
  const byPath = Object.entries(given).flatMap(([name, rule]): [string, Quantisation | false][] => {
    if (rule === false) return [[name, false]];
    return isRecord(rule) ? [[name, quantisationOf(path, `quantization of ${quoted(name)}`, rule)]] : [];
  });
  return { everywhere, byPath: new Map(byPath) };
}

/** How the module at `module` is packed, given whether the checkpoint has scales for it. */
export function quantisationAt(
  rules: QuantisationRules | undefined,
  module: string,
  hasScales: boolean,
): Quantisation | undefined {
  const own = rules?.byPath.get(module);
  if (own === false || !hasScales) return undefined;
  return own ?? rules?.everywhere;
}

function quantisationOf(path: string, what: string, given: Readonly<Record<string, unknown>>): Quantisation {
  const { mode = "affine", bits, group_size: groupSize } = withoutNulls(given);
  const known = typeof mode === "string" && Object.hasOwn(possible, mode) ? possible[mode] : undefined;
  const width = bits ?? known?.bits[0];
  const group = groupSize ?? known?.groups[0];
  if (known?.bits.some((n) => n === width) && known.groups.some((n) => n === group)) {
    return { mode, bits: width, groupSize: group } as Quantisation;
  }
  throw new Problem(
    "invalid",
    `${path}: ${what} asks for mode ${quoted(mode)}, ${quoted(width)} bits, groups of ${quoted(group)}, which cannot be computed`,
    {
      param: "quantization",
      remedy: `possible are ${Object.entries(possible)
        .map(
          ([name, { bits: widths, groups }]) =>
            `${name} (${widths.toSorted((a, b) => a - b).join(", ")} bits; groups of ${groups.toSorted((a, b) => a - b).join(", ")})`,
        )
        .join("; ")}`,
    },
  );
}

const foreign = (path: string, method: unknown): Problem =>
  new Problem("invalid", `${path} says the weights are packed by ${quoted(method)}, which is not supported`, {
    param: "quantization_config",
    remedy: "use a copy of the model in MLX's format, unpacked (float16, bfloat16, float32), or as GGUF",
  });
