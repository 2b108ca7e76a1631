/** Python's string methods, as far as templates use them. */
import { formatted } from "./format.ts";
import {
  type Callable,
  isList,
  makeRoom,
  type Named,
  TemplateError,
  Tuple,
  typeName,
  type Value,
} from "./values.ts";

/** What `str.strip()` takes for a space: not the byte order mark, unlike JavaScript. */
const space = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const leadingSpace = new RegExp(`^[${space}]+`);
/** Anchored at a character that is no space: otherwise runs of spaces inside cost the square of their length. */
const spaceRun = new RegExp(`[${space}]+`, "g");
const isSpace = new RegExp(`^[${space}]$`);

/** The ends of lines that `str.splitlines()` knows. */
const lineEnds = "\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029";
export const lineEnd = new RegExp(`\\r\\n|[${lineEnds}]`);
const lastLineEnd = new RegExp(`(?:${lineEnd.source})$`);

type Method = (text: string, args: readonly Value[], named: Named) => Value;

export function stripped(text: string, side: "both" | "left" | "right", characters?: Value): string {
  const set = typeof characters === "string" ? new Set(characters) : undefined;
  const strips = (character: string): boolean => (set ? set.has(character) : isSpace.test(character));
  let [start, end] = [0, text.length];
  if (side !== "right") {
    if (!set) start = leadingSpace.exec(text)?.[0].length ?? 0;
    else while (start < end && strips(characterAt(text, start))) start += characterAt(text, start).length;
  }
  if (side !== "left") {
    while (end > start && strips(characterBefore(text, end))) end -= characterBefore(text, end).length;
  }
  return text.slice(start, end);
}

const characterAt = (text: string, at: number): string => String.fromCodePoint(text.codePointAt(at) ?? 0);
const characterBefore = (text: string, end: number): string =>
  /[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(end - 2, end))
    ? text.slice(end - 2, end)
    : text.slice(end - 1, end);

export const title = (text: string): string =>
  text.toLowerCase().replace(/\p{L}+/gu, ([first = "", ...rest]) => first.toUpperCase() + rest.join(""));

export const capitalized = (text: string): string => {
  const [first = "", ...rest] = [...text];
  return first.toUpperCase() + rest.join("").toLowerCase();
};

function words(text: string, limit: number): string[] {
  const parts: string[] = [];
  let rest = stripped(text, "left");
  while (rest !== "") {
    spaceRun.lastIndex = 0;
    const gap = parts.length === limit ? null : spaceRun.exec(rest);
    if (!gap) {
      parts.push(parts.length === limit ? rest : stripped(rest, "right"));
      break;
    }
    parts.push(rest.slice(0, gap.index));
    rest = rest.slice(gap.index + gap[0].length);
  }
  return parts;
}

function split(text: string, separator: Value, limit: number): string[] {
  if (separator === null || separator === undefined) return words(text, limit);
  const mark = string(separator, "separator");
  if (mark === "") throw new TemplateError("empty separator");
  const parts = text.split(mark);
  if (limit < 0 || parts.length <= limit + 1) return parts;
  return [...parts.slice(0, limit), parts.slice(limit).join(mark)];
}

function splitFromRight(text: string, separator: Value, limit: number): string[] {
  if (separator === null || separator === undefined) {
    const reversed = words([...text].reverse().join(""), limit);
    return reversed.map((part) => [...part].reverse().join("")).reverse();
  }
  const mark = string(separator, "separator");
  const parts = split(text, mark, -1);
  if (limit < 0 || parts.length <= limit + 1) return parts;
  const keep = parts.length - limit;
  return [parts.slice(0, keep).join(mark), ...parts.slice(keep)];
}

/** Python's `str.replace`: at most `count` times, an empty text matching before each character and at the end. */
export function replaced(text: string, from: string, to: string, count: Value): string {
  makeRoom(text.length + (from === "" ? text.length + 1 : text.split(from).length - 1) * to.length);
  const limit = typeof count === "number" && count >= 0 ? count : Number.POSITIVE_INFINITY;
  if (limit === Number.POSITIVE_INFINITY && from !== "") return text.replaceAll(from, () => to);
  const parts = from === "" ? ["", ...text, ""] : text.split(from);
  const done = Math.min(limit, parts.length - 1);
  return (
    parts.slice(0, done + 1).join(to) +
    parts
      .slice(done + 1)
      .map((part) => from + part)
      .join("")
  );
}

/** The parts with a text between them. */
export function joined(parts: readonly string[], between: string): string {
  makeRoom(parts.reduce((length, part) => length + part.length + between.length, 0));
  return parts.join(between);
}

function partition(text: string, mark: string, at: number): Tuple {
  if (at < 0) return Tuple.of(text, "", "") as Tuple;
  return Tuple.of(text.slice(0, at), mark, text.slice(at + mark.length)) as Tuple;
}

function startsOrEnds(text: string, affix: Value, test: (text: string, affix: string) => boolean): boolean {
  return (isList(affix) ? affix : [affix]).some((each) => test(text, string(each, "argument")));
}

const string = (value: Value, what: string): string => {
  if (typeof value === "string") return value;
  throw new TemplateError(`${what} must be str, not ${typeName(value)}`);
};
const integer = (value: Value, otherwise: number): number => (typeof value === "number" ? value : otherwise);
/** Where a text is found, counted in characters. */
const place = (text: string, units: number): number => (units < 0 ? -1 : [...text.slice(0, units)].length);
const every =
  (pattern: RegExp): Method =>
  (text) =>
    pattern.test(text);
const padded = (text: string, width: Value, fill: Value, left: boolean): string => {
  const room = Math.max(0, Math.min(integer(width, 0), maxPadding) - [...text].length);
  const padding = (typeof fill === "string" ? fill : " ").repeat(room);
  return left ? padding + text : text + padding;
};
/** No template needs more; without a bound one call could fill the memory. */
const maxPadding = 10_000;

const table: Readonly<Record<string, Method>> = {
  upper: (text) => text.toUpperCase(),
  lower: (text) => text.toLowerCase(),
  casefold: (text) => text.toLowerCase(),
  title: (text) => title(text),
  capitalize: (text) => capitalized(text),
  strip: (text, [set]) => stripped(text, "both", set),
  lstrip: (text, [set]) => stripped(text, "left", set),
  rstrip: (text, [set]) => stripped(text, "right", set),
  startswith: (text, [affix]) => startsOrEnds(text, affix, (whole, part) => whole.startsWith(part)),
  endswith: (text, [affix]) => startsOrEnds(text, affix, (whole, part) => whole.endsWith(part)),
  split: (text, [mark, limit], named) =>
    split(text, mark ?? named.get("sep"), integer(limit ?? named.get("maxsplit"), -1)),
  rsplit: (text, [mark, limit], named) =>
    splitFromRight(text, mark ?? named.get("sep"), integer(limit ?? named.get("maxsplit"), -1)),
  splitlines: (text) => (text === "" ? [] : text.replace(lastLineEnd, "").split(lineEnd)),
  replace: (text, [from, to, count], named) =>
    replaced(text, string(from, "argument 1"), string(to, "argument 2"), count ?? named.get("count")),
  find: (text, [part]) => place(text, text.indexOf(string(part, "argument"))),
  rfind: (text, [part]) => place(text, text.lastIndexOf(string(part, "argument"))),
  index: (text, [part]) => {
    const at = place(text, text.indexOf(string(part, "argument")));
    if (at < 0) throw new TemplateError("substring not found");
    return at;
  },
  count: (text, [part]) => {
    const mark = string(part, "argument");
    return mark === "" ? [...text].length + 1 : text.split(mark).length - 1;
  },
  join: (text, [parts]) => {
    if (!isList(parts)) throw new TemplateError("can only join an iterable");
    return joined(
      parts.map((part) => string(part, "sequence item")),
      text,
    );
  },
  partition: (text, [mark]) =>
    partition(text, string(mark, "separator"), text.indexOf(string(mark, "separator"))),
  rpartition: (text, [mark]) => {
    const separator = string(mark, "separator");
    const at = text.lastIndexOf(separator);
    return at < 0 ? (Tuple.of("", "", text) as Tuple) : partition(text, separator, at);
  },
  removeprefix: (text, [part]) => {
    const prefix = string(part, "argument");
    return text.startsWith(prefix) ? text.slice(prefix.length) : text;
  },
  removesuffix: (text, [part]) => {
    const suffix = string(part, "argument");
    return suffix !== "" && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
  },
  isdigit: every(/^[\p{Nd}\u00b2\u00b3\u00b9\u2070-\u2079\u2080-\u2089]+$/u),
  isdecimal: every(/^\p{Nd}+$/u),
  isnumeric: every(/^\p{N}+$/u),
  isalpha: every(/^\p{L}+$/u),
  isalnum: every(/^[\p{L}\p{N}]+$/u),
  isspace: every(new RegExp(`^[${space}]+$`)),
  isupper: (text) => /\p{Lu}/u.test(text) && text === text.toUpperCase(),
  islower: (text) => /\p{Ll}/u.test(text) && text === text.toLowerCase(),
  ljust: (text, [width, fill]) => padded(text, width, fill, false),
  rjust: (text, [width, fill]) => padded(text, width, fill, true),
  zfill: (text, [width]) => {
    const sign = /^[+-]/.exec(text)?.[0] ?? "";
    return sign + padded(text.slice(sign.length), integer(width, 0) - sign.length, "0", true);
  },
  format: (text, args, named) => formatted(text, args, named),
};

/** A method of this text, ready to be called; undefined for a name that strings have not. */
export function stringMethod(text: string, name: string): Callable | undefined {
  const method = Object.hasOwn(table, name) ? table[name] : undefined;
  return method && ((args, named) => method(text, args, named));
}
