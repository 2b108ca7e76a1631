/** Values of flags as people write them, checked. Each throws what commander shows. */
import { InvalidArgumentError } from "commander";
import { DURATION_MAX_MS, RATE_MAX } from "./bench/bench-config.ts";

export const gathered = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

export const split = (value: string): readonly string[] => value.split(",").map((each) => each.trim());

/** Machines by name, each once. */
export function names(value: string): readonly string[] {
  const all = split(value);
  if (all.includes("")) throw new InvalidArgumentError("It must be names, separated by commas.");
  return [...new Set(all)];
}

export const gatheredLists = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...split(value),
];

export const counts =
  (least: number, most: number) =>
  (value: string): readonly number[] =>
    split(value).map(whole(least, most));

export const oneOf =
  (words: readonly string[]) =>
  (value: string): string => {
    if (words.includes(value)) return value;
    throw new InvalidArgumentError(`It must be one of ${words.join(", ")}.`);
  };

export const rates = (value: string): readonly number[] => split(value).map(number(0.001, RATE_MAX));

export const whole =
  (least: number, most = Number.MAX_SAFE_INTEGER) =>
  (text: string): number =>
    checked(text, /^-?\d+$/.test(text), { least, most, kind: "a whole number" });

export const number =
  (least: number, most = Number.MAX_SAFE_INTEGER) =>
  (text: string): number =>
    checked(text, text.trim() !== "" && Number.isFinite(Number(text)), { least, most, kind: "a number" });

function checked(
  text: string,
  isNumber: boolean,
  { least, most, kind }: { least: number; most: number; kind: string },
): number {
  const value = Number(text);
  if (isNumber && value >= least && value <= most) return value;
  const bound =
    least === Number.MIN_SAFE_INTEGER
      ? ""
      : most === Number.MAX_SAFE_INTEGER
        ? ` of at least ${least}`
        : ` from ${least} to ${most}`;
  throw new InvalidArgumentError(`It must be ${kind}${bound}.`);
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Of a benchmark's run. */
export function runTime(text: string): number {
  const ms = duration(text);
  if (ms > 0 && ms <= DURATION_MAX_MS) return ms;
  throw new InvalidArgumentError("It must be longer than nothing, and a week at the most.");
}

/** Seconds where no unit is given; milliseconds out. */
export function duration(text: string): number {
  const [, count, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError("It must be a duration such as 90s, 5m or 1h.");
  return Number(count) * (UNITS_MS[unit] ?? 1);
}
