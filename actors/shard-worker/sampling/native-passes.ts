/** The passes by the shim's kernels, tens of times as fast as the host's. */
import type { Native } from "#ffi/generated/symbols";
import { brokenLogit, hostPasses, noLogit, type Passes, RUN } from "./passes.ts";

/** The shim keeps the best in order, which is quick for few: more are the host's. */
const TOP_MAX = 1024;

/** For one thread: what it returns is written over by its next call. */
export function nativePasses(native: Native): Passes {
  let ids = new Uint32Array(0);
  let sums = new Float64Array(0);
  const idsFor = (count: number): Uint32Array => {
    if (ids.length < count) ids = new Uint32Array(count);
    return ids;
  };
  return {
    argmax(logits) {
      const id = native.exo_logits_best(logits, logits.length);
      const logit = logits[id];
      if (logit === undefined) throw noLogit();
      if (!(logit < Number.POSITIVE_INFINITY)) throw brokenLogit(id, logit);
      return id;
    },
    sums(logits, largest, temperature) {
      const runs = Math.ceil(logits.length / RUN);
      if (sums.length !== runs) sums = new Float64Array(runs);
      native.exo_logits_sums(logits, logits.length, largest, temperature, sums);
      return sums;
    },
    atLeast(logits, least) {
      const room = idsFor(logits.length);
      return [
        ...room.subarray(0, native.exo_logits_at_least(logits, logits.length, least, room, room.length)),
      ];
    },
    top(logits, count) {
      if (count > TOP_MAX) return hostPasses.top(logits, count);
      const room = idsFor(count);
      return [...room.subarray(0, native.exo_logits_top(logits, logits.length, count, room))];
    },
  };
}
