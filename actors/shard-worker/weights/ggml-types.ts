/**
 * The element types of GGUF files: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, block sizes from ggml's
 * `ggml-common.h`. `held` says what a tensor becomes in memory; the unpacking itself is native (`mlx-c/shim/ggml.h`).
 */
import type { Dtype, Quantisation } from "#ffi/array";

export interface GgmlType {
  readonly id: number;
  readonly name: string;
  /** Values and bytes of one block. */
  readonly values: number;
  readonly bytes: number;
  /** Absent: a type that exists, but that cannot be used here. */
  readonly held?: Held;
}

export type Held =
  | { readonly kind: "elements"; readonly dtype: Dtype }
  | {
      readonly kind: "packed";
      readonly as: Quantisation;
      /**
       * What the change costs. `scales`: scale and minimum of 32 weights are rounded to float16, by at most 1 part in
       * 2048. `steps`: weights move to an even grid of 256 steps per 32, by at most 1/510 of those weights' range.
       */
      readonly loss: "none" | "scales" | "steps";
    };

/** All that is unpacked shares a scale among so many weights. */
export const GGML_GROUP = 32;

const elements = (dtype: Dtype): Held => ({ kind: "elements", dtype });
const affine = (bits: number, loss: "none" | "scales" | "steps"): Held => ({
  kind: "packed",
  as: { mode: "affine", bits, groupSize: GGML_GROUP },
  loss,
});
const type = (id: number, name: string, values: number, bytes: number, held?: Held): GgmlType => ({
  id,
  name,
  values,
  bytes,
  ...(held && { held }),
});

const types: readonly GgmlType[] = [
  type(0, "F32", 1, 4, elements("float32")),
  type(1, "F16", 1, 2, elements("float16")),
  type(2, "Q4_0", 32, 18, affine(4, "none")),
  type(3, "Q4_1", 32, 20, affine(4, "none")),
  type(6, "Q5_0", 32, 22, affine(5, "none")),
  type(7, "Q5_1", 32, 24, affine(5, "none")),
  type(8, "Q8_0", 32, 34, affine(8, "none")),
  type(9, "Q8_1", 32, 36),
  type(10, "Q2_K", 256, 84, affine(8, "steps")),
  type(11, "Q3_K", 256, 110, affine(8, "steps")),
  type(12, "Q4_K", 256, 144, affine(4, "scales")),
  type(13, "Q5_K", 256, 176, affine(5, "scales")),
  type(14, "Q6_K", 256, 210, affine(8, "steps")),
  type(15, "Q8_K", 256, 292, affine(8, "scales")),
  type(16, "IQ2_XXS", 256, 66, affine(8, "scales")),
  type(17, "IQ2_XS", 256, 74, affine(8, "steps")),
  type(18, "IQ3_XXS", 256, 98, affine(8, "scales")),
  type(19, "IQ1_S", 256, 50, affine(2, "scales")),
  type(20, "IQ4_NL", 32, 18, affine(8, "none")),
  type(21, "IQ3_S", 256, 110, affine(5, "scales")),
  type(22, "IQ2_S", 256, 82, affine(8, "steps")),
  type(23, "IQ4_XS", 256, 136, affine(8, "scales")),
  type(24, "I8", 1, 1),
  type(25, "I16", 1, 2),
  type(26, "I32", 1, 4),
  type(27, "I64", 1, 8),
  type(28, "F64", 1, 8),
  type(29, "IQ1_M", 256, 56, affine(8, "steps")),
  type(30, "BF16", 1, 2, elements("bfloat16")),
  type(34, "TQ1_0", 256, 54, affine(2, "none")),
  type(35, "TQ2_0", 256, 66, affine(2, "none")),
  type(39, "MXFP4", 32, 17, {
    kind: "packed",
    as: { mode: "mxfp4", bits: 4, groupSize: GGML_GROUP },
    loss: "none",
  }),
  type(40, "NVFP4", 64, 36),
];

const byId: ReadonlyMap<number, GgmlType> = new Map(types.map((entry) => [entry.id, entry]));

export const ggmlType = (id: number): GgmlType | undefined => byId.get(id);

/** Names of the types that can be used, for messages. */
export const usableGgmlTypes: readonly string[] = types.filter(({ held }) => held).map(({ name }) => name);
