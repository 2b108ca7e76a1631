/** Hidden state between two stages as it is sent: in the sender's own type, or in 8 bits where its group says so. */
import type { Dtype } from "#ffi/array";
import type { HiddenForm, SentType } from "#protocol/pass";
import { hiddenBytes, hiddenTypeOf, packHidden, unpackHidden } from "./hidden.ts";
import { bytesIn8, packIn8, unpackIn8 } from "./hidden-8bit.ts";

/** Of a model. */
export interface Row {
  readonly dtype: Dtype;
  readonly hiddenSize: number;
}

/** Of so many rows of `width` values. */
export const sentBytes = (rows: number, width: number, type: SentType): number =>
  type === "int8" ? bytesIn8(rows, width) : rows * width * hiddenBytes(type);

export function sent(
  values: Float32Array,
  { dtype, hiddenSize }: Row,
  form: HiddenForm | undefined,
): { readonly hiddenType: SentType; readonly body: Uint8Array } {
  const hiddenType = form === "8bit" ? "int8" : hiddenTypeOf(dtype);
  const body = hiddenType === "int8" ? packIn8(values, hiddenSize) : packHidden(values, hiddenType);
  return { hiddenType, body };
}

/** The values of whole rows; the bytes are not kept. */
export const taken = (body: Uint8Array, width: number, type: SentType): Float32Array =>
  type === "int8" ? unpackIn8(body, width) : unpackHidden(body, type);
