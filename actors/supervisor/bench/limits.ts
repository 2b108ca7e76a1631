/** `fail_if`: when a comparison fails the run. */
import { nearest } from "../nearest.ts";
import type { Limit } from "./bench-config.ts";
import type { Located, Reader } from "./located.ts";
import { shown } from "./readers.ts";

/** Every metric that cells are compared by; `true` where more is better. */
export const METRICS: Readonly<Record<string, boolean>> = {
  decode_tps: true,
  prefill_tps: true,
  total_tps: true,
  requests_per_s: true,
  goodput: true,
  ...Object.fromEntries(
    ["ttft", "itl", "tpot", "e2e"].flatMap((name) =>
      ["p50", "p90", "p99"].map((p) => [`${name}_${p}`, false]),
    ),
  ),
  errors: false,
  joules_per_token: false,
  perplexity: false,
  answers: true,
  tools: true,
};

/** A check is there to fail the run; so it does where the config sets no limit of its own. */
export const CHECK_LIMITS: readonly Limit[] = [
  { metric: "perplexity", sign: "+", amount: 1, text: "+1%" },
  { metric: "answers", sign: "-", amount: 10, text: "-10%" },
  { metric: "tools", sign: "-", amount: 10, text: "-10%" },
];

const limit =
  (metric: string): Reader<Limit> =>
  (at) => {
    const text = String(at.scalar).trim();
    const [, sign, amount, percent] = /^([+\-><])\s*(\d+(?:\.\d+)?)\s*(%?)$/.exec(text) ?? [];
    const isChange = sign === "+" || sign === "-";
    if (sign === undefined || isChange !== (percent === "%"))
      throw at.misfit(`is ${shown(at)}; write "-5%" or "+10%" for a change, ">0" or "<10" for a value`);
    return { metric, sign: sign as Limit["sign"], amount: Number(amount), text };
  };

export const limits: Reader<readonly Limit[]> = (at: Located) =>
  at.entries().flatMap(([metric, value]) => {
    const made = value.attempt((here) => {
      if (Object.hasOwn(METRICS, metric)) return limit(metric)(here);
      const near = nearest(metric, Object.keys(METRICS));
      throw here.misfit(
        near === undefined
          ? `is no metric; there are ${Object.keys(METRICS).join(", ")}`
          : `is no metric; did you mean ${near}?`,
      );
    });
    return made === undefined ? [] : [made];
  });
