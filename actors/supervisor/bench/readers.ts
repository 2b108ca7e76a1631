/** Readers of single values: what may be written, and what it becomes (milliseconds, per second, whole numbers). */
import { nearest } from "../nearest.ts";
import { DURATION_MAX_MS, RATE_MAX } from "./bench-config.ts";
import type { Located, Reader } from "./located.ts";

/** As the file has it, for the words of a fault. */
export const shown = (at: Located): string => {
  if (at.isMap) return "a map";
  if (at.isList) return "a list";
  // JSON knows neither NaN nor infinity.
  return typeof at.scalar === "number" ? String(at.scalar) : JSON.stringify(at.scalar);
};

export const text: Reader<string> = (at) => {
  const { scalar } = at;
  if (typeof scalar === "number") return String(scalar);
  if (typeof scalar === "string" && scalar !== "") return scalar;
  throw at.misfit(`must be text, not ${shown(at)}`);
};

export const flag: Reader<boolean> = (at) => {
  // YAML 1.2 reads on and off as text; people write them all the same.
  const said = { on: true, off: false }[String(at.scalar)] ?? at.scalar;
  if (typeof said === "boolean") return said;
  throw at.misfit(`must be true or false, not ${shown(at)}`);
};

export const number =
  (least: number, most = Number.MAX_SAFE_INTEGER): Reader<number> =>
  (at) => {
    const { scalar } = at;
    if (typeof scalar === "number" && scalar >= least && scalar <= most) return scalar;
    throw at.misfit(`must be a number ${range(least, most)}, not ${shown(at)}`);
  };

export const whole =
  (least: number, most = Number.MAX_SAFE_INTEGER): Reader<number> =>
  (at) => {
    const { scalar } = at;
    if (Number.isInteger(scalar) && Number(scalar) >= least && Number(scalar) <= most) return Number(scalar);
    throw at.misfit(`must be a whole number ${range(least, most)}, not ${shown(at)}`);
  };

const range = (least: number, most: number): string =>
  most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;

export const word =
  <const W extends string>(...words: readonly W[]): Reader<W> =>
  (at) => {
    const said = at.scalar === false ? "off" : at.scalar;
    const found = words.find((each) => each === said);
    if (found !== undefined) return found;
    const near = nearest(String(said), words);
    const guess =
      near === undefined ? `one of ${words.join(", ")}` : `one of ${words.join(", ")}; did you mean ${near}?`;
    throw at.misfit(`is ${shown(at)}; it must be ${guess}`);
  };

/** A list, or one value that stands for a list of one. None may be empty. */
export const oneOrMany =
  <T>(reader: Reader<T>): Reader<readonly T[]> =>
  (at) => {
    if (!at.isList) return [reader(at)];
    return listOf(reader)(at);
  };

export const listOf =
  <T>(reader: Reader<T>): Reader<readonly T[]> =>
  (at) => {
    const items = at.items();
    if (items.length === 0) throw at.misfit("must not be empty");
    return items.flatMap((item) => {
      const made = item.attempt(reader);
      return made === undefined ? [] : [made];
    });
  };

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000 };

/** `80ms`, `2s`, `5m`, `1h`, or a number of seconds, 0 too; milliseconds out. */
export const pause: Reader<number> = (at) => {
  const [, count, unit = "s"] = /^(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)?$/.exec(String(at.scalar)) ?? [];
  if (count === undefined) throw at.misfit(`must be a duration such as 80ms, 2s, 5m or 1h, not ${shown(at)}`);
  const ms = Number(count) * (UNITS_MS[unit] ?? 1);
  if (ms > DURATION_MAX_MS) throw at.misfit(`is ${shown(at)}, longer than a week`);
  return ms;
};

/** As `pause`, above 0: what takes no time measures nothing. */
export const duration: Reader<number> = (at) => {
  const ms = pause(at);
  if (ms > 0) return ms;
  throw at.misfit(`must be longer than nothing, not ${shown(at)}`);
};

/** `0.5/s`, `30/m`, or a number of requests per second. */
export const rate: Reader<number> = (at) => {
  const [, count, unit = "s"] = /^(\d+(?:\.\d+)?)(?:\s*\/\s*(s|m|min|h))?$/.exec(String(at.scalar)) ?? [];
  const perSecond = (Number(count) * 1000) / (UNITS_MS[unit] ?? 1000);
  if (count === undefined || perSecond <= 0)
    throw at.misfit(`must be a rate such as 0.5/s or 30/m, above 0, not ${shown(at)}`);
  if (perSecond > RATE_MAX) throw at.misfit(`is ${shown(at)}; one client sends ${RATE_MAX}/s at most`);
  return perSecond;
};
