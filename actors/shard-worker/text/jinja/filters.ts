/** Jinja's filters. https://jinja.palletsprojects.com/en/stable/templates/#list-of-builtin-filters */

import { attribute } from "./attributes.ts";
import { percentFormatted } from "./format.ts";
import { toJson } from "./json.ts";
import { sequenceFilters } from "./sequence-filters.ts";
import { capitalized, lineEnd, replaced, stripped } from "./strings.ts";
import {
  type Dict,
  Float,
  isDict,
  isNumber,
  items,
  lengthOf,
  type Named,
  Namespace,
  numberOf,
  order,
  print,
  TemplateError,
  Tuple,
  truth,
  typeName,
  type Value,
} from "./values.ts";

export type Filter = (value: Value, args: readonly Value[], named: Named) => Value;

const option = (args: readonly Value[], named: Named, place: number, name: string): Value =>
  args[place] === undefined ? named.get(name) : args[place];

const otherwise: Filter = (value, args, named) => {
  const given = option(args, named, 0, "default_value");
  // `default(none)` gives None; only what is left out becomes the empty text.
  const instead = given === undefined ? "" : given;
  if (value === undefined) return instead;
  return truth(option(args, named, 1, "boolean")) && !truth(value) ? instead : value;
};

function integer(value: Value, instead: Value): Value {
  if (isNumber(value)) return Math.trunc(numberOf(value));
  const text = typeof value === "string" ? stripped(value, "both").replaceAll("_", "") : "";
  if (/^[+-]?\d+$/.test(text)) return Number(text);
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Math.trunc(Number(text)) : instead;
}

function float(value: Value, instead: Value): Value {
  if (isNumber(value)) return new Float(numberOf(value));
  const text = typeof value === "string" ? stripped(value, "both") : "";
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? new Float(Number(text)) : instead;
}

function round(value: Value, args: readonly Value[], named: Named): Value {
  if (!isNumber(value)) throw new TemplateError(`type ${typeName(value)} doesn't define __round__ method`);
  const factor = 10 ** Math.min(Number(option(args, named, 0, "precision") ?? 0), 15);
  const method = option(args, named, 1, "method") ?? "common";
  const scaled = numberOf(value) * factor;
  if (method === "ceil") return new Float(Math.ceil(scaled) / factor);
  if (method === "floor") return new Float(Math.floor(scaled) / factor);
  const down = Math.floor(scaled);
  // Python rounds halves to the even neighbour.
  const up = scaled - down > 0.5 || (scaled - down === 0.5 && down % 2 !== 0);
  return new Float((up ? down + 1 : down) / factor);
}

function indent(value: Value, args: readonly Value[], named: Named): string {
  const width = option(args, named, 0, "width") ?? 4;
  const first = truth(option(args, named, 1, "first"));
  const blank = truth(option(args, named, 2, "blank"));
  const margin = typeof width === "string" ? width : " ".repeat(Math.min(Number(width), maxIndent));
  const [head = "", ...rest] = `${print(value)}`.split(lineEnd);
  const lines = rest.map((line) => (line === "" && !blank ? line : margin + line));
  return [first ? margin + head : head, ...lines].join("\n");
}
/** No template needs more; without a bound one call could fill the memory. */
const maxIndent = 1000;

function sortedDict(value: Value, args: readonly Value[], named: Named): Value {
  if (!isDict(value)) throw new TemplateError(`'${typeName(value)}' object has no attribute 'items'`);
  const sensitive = truth(option(args, named, 0, "case_sensitive"));
  const byValue = (option(args, named, 1, "by") ?? "key") === "value";
  const sign = truth(option(args, named, 2, "reverse")) ? -1 : 1;
  const key = ([name, each]: readonly [Value, Value]): Value => {
    const sorted = byValue ? each : name;
    return typeof sorted === "string" && !sensitive ? sorted.toLowerCase() : sorted;
  };
  return pairs(value).sort((a, b) => sign * order(key([a[0], a[1]]), key([b[0], b[1]])));
}

const pairs = (dict: Dict): Tuple[] => [...dict].map(([key, value]) => Tuple.of<Value>(key, value) as Tuple);

function entries(value: Value): Value {
  if (value === undefined) return [];
  if (isDict(value)) return pairs(value);
  throw new TemplateError("Can only get item pairs from a mapping.");
}

const html: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
};
const escapeHtml: Filter = (value) =>
  print(value).replace(/[&<>"']/g, (character) => html[character] ?? character);

const table: Readonly<Record<string, Filter>> = {
  ...sequenceFilters,
  abs: (value) => {
    if (!isNumber(value)) throw new TemplateError(`bad operand type for abs(): '${typeName(value)}'`);
    return value instanceof Float ? new Float(Math.abs(value.value)) : Math.abs(Number(value));
  },
  attr: (value, [name]) => (value instanceof Namespace ? attribute(value, print(name)) : undefined),
  capitalize: (value) => capitalized(print(value)),
  count: (value) => lengthOf(value),
  d: otherwise,
  default: otherwise,
  dictsort: sortedDict,
  e: escapeHtml,
  escape: escapeHtml,
  float: (value, args, named) => float(value, option(args, named, 0, "default") ?? new Float(0)),
  format: (value, args, named) =>
    percentFormatted(
      print(value),
      named.size > 0 ? new Map<Value, Value>(named) : (Tuple.from(args) as Tuple),
    ),
  indent,
  int: (value, args, named) => integer(value, option(args, named, 0, "default") ?? 0),
  items: entries,
  length: (value) => lengthOf(value),
  lower: (value) => print(value).toLowerCase(),
  replace: (value, [from, to, count], named) =>
    replaced(print(value), print(from), print(to), count ?? named.get("count")),
  round,
  safe: (value) => (typeof value === "string" ? value : print(value)),
  string: (value) => print(value),
  // Not the method of the same name: words begin after spaces, hyphens and opening brackets only.
  // What `parse.ts` makes of `(value,)`.
  "to tuple": (value) => Tuple.from(items(value)) as Tuple,
  title: (value) =>
    print(value)
      .split(/([-\s({[<]+)/)
      .map(capitalized)
      .join(""),
  tojson: toJson,
  trim: (value, args, named) => stripped(print(value), "both", option(args, named, 0, "chars")),
  upper: (value) => print(value).toUpperCase(),
  wordcount: (value) => (print(value).match(/[\p{L}\p{N}_]+/gu) ?? []).length,
};

/** @throws TemplateError for a filter that Jinja does not have. */
export function filterNamed(name: string): Filter {
  const filter = Object.hasOwn(table, name) ? table[name] : undefined;
  if (filter) return filter;
  throw new TemplateError(`No filter named '${name}'.`);
}
