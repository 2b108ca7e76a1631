import type { Dtype, MxArray, Packed } from "../array.ts";
import type { Embedding } from "../weights.ts";
import { isPacked, linearLayer } from "./linear.ts";

/** A table [vocabulary, hidden]: rows by token id in `dtype`, and the table as an output head. */
export function embeddingLayer(table: MxArray | Packed, dtype: Dtype): Embedding {
  const asLinear = linearLayer(table, undefined);
  if (isPacked(table)) return { rows: (ids) => ids.quantizedRows(table, dtype), asLinear };
  const same = table.dtype === dtype;
  return { rows: (ids) => (same ? table.take(ids, 0) : table.take(ids, 0).astype(dtype)), asLinear };
}
