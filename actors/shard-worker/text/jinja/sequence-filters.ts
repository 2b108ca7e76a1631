/** Jinja's filters over sequences. */
import { attribute, subscript } from "./attributes.ts";
import { add } from "./operators.ts";
import { joined } from "./strings.ts";
import { testNamed } from "./tests.ts";
import {
  equal,
  isDict,
  isList,
  isNumber,
  items,
  type Named,
  numberOf,
  order,
  print,
  TemplateError,
  Tuple,
  truth,
  typeName,
  type Value,
} from "./values.ts";

type Filter = (value: Value, args: readonly Value[], named: Named) => Value;

/** The value under a dotted path; numbers in it are places in lists. */
function under(value: Value, path: Value): Value {
  if (typeof path === "number") return subscript(value, path);
  let found = value;
  for (const part of print(path).split("."))
    found = subscript(found, /^\d+$/.test(part) ? Number(part) : part);
  return found;
}

/** What items are compared by: themselves or an attribute, without case unless asked. */
function key(path: Value, sensitive: boolean): (value: Value) => Value {
  return (value) => {
    const found = path === undefined || path === null ? value : under(value, path);
    return typeof found === "string" && !sensitive ? found.toLowerCase() : found;
  };
}

const sort: Filter = (value, args, named) => {
  const sign = truth(args[0] ?? named.get("reverse")) ? -1 : 1;
  const by = key(args[2] ?? named.get("attribute"), truth(args[1] ?? named.get("case_sensitive")));
  return [...items(value)].sort((a, b) => sign * order(by(a), by(b)));
};

const unique: Filter = (value, args, named) => {
  const by = key(args[1] ?? named.get("attribute"), truth(args[0] ?? named.get("case_sensitive")));
  const seen: Value[] = [];
  return items(value).filter((item) => {
    const mark = by(item);
    if (seen.some((each) => equal(each, mark))) return false;
    seen.push(mark);
    return true;
  });
};

const extreme =
  (sign: number): Filter =>
  (value, args, named) => {
    const by = key(args[1] ?? named.get("attribute"), truth(args[0] ?? named.get("case_sensitive")));
    const [first, ...rest] = items(value);
    return rest.reduce((best, item) => (sign * order(by(item), by(best)) > 0 ? item : best), first);
  };

const groupBy: Filter = (value, args, named) => {
  const path = args[0] ?? named.get("attribute");
  const instead = args[1] ?? named.get("default");
  const by = (item: Value): Value => under(item, path) ?? instead;
  const groups: [Value, Value[]][] = [];
  for (const item of [...items(value)].sort((a, b) => order(by(a), by(b)))) {
    const last = groups.at(-1);
    if (last && equal(last[0], by(item))) last[1].push(item);
    else groups.push([by(item), [item]]);
  }
  return groups.map(([name, members]) => Tuple.of<Value>(name, members) as Tuple);
};

/** `select`, `reject` and their kin with attributes: keeps what passes (or fails) a test, truth when none is named. */
const selecting =
  (keep: boolean, byAttribute: boolean): Filter =>
  (value, args) => {
    const [path, name, argument] = byAttribute ? args : [undefined, ...args];
    const test = name === undefined ? truth : testNamed(print(name));
    const subject = (item: Value): Value => (byAttribute ? under(item, path) : item);
    return items(value).filter((item) => test(subject(item), argument) === keep);
  };

const join: Filter = (value, args, named) => {
  const path = args[1] ?? named.get("attribute");
  const parts = items(value).map((item) =>
    print(path === undefined || path === null ? item : under(item, path)),
  );
  return joined(parts, print(args[0] ?? named.get("d") ?? ""));
};

const chunks = (value: Value, [size, fill]: readonly Value[]): Value => {
  const all = items(value);
  const length = Math.max(1, Number(size));
  const rows: Value[][] = [];
  for (let at = 0; at < all.length; at += length) rows.push(all.slice(at, at + length));
  const last = rows.at(-1);
  if (fill !== undefined && fill !== null) while (last && last.length < length) last.push(fill);
  return rows;
};

const listed = (value: Value): Value[] => [...items(value)];

function reversed(value: Value): Value {
  const back = listed(value).reverse();
  return typeof value === "string" ? back.join("") : back;
}

function sum(value: Value, args: readonly Value[], named: Named): Value {
  const path = args[0] ?? named.get("attribute");
  const start = args[1] ?? named.get("start") ?? 0;
  return items(value).reduce((total, item) => {
    const next = path === undefined || path === null ? item : under(item, path);
    if (!isNumber(next) && !isList(next)) {
      throw new TemplateError(
        `unsupported operand type(s) for +: '${typeName(total)}' and '${typeName(next)}'`,
      );
    }
    return add(total, isList(next) ? next : next instanceof Object ? next : numberOf(next));
  }, start);
}

/** Filters by name. `map` is with the evaluator, which knows the other filters. */
export const sequenceFilters: Readonly<Record<string, Filter>> = {
  batch: chunks,
  first: (value) => items(value)[0],
  groupby: groupBy,
  join,
  last: (value) => items(value).at(-1),
  list: listed,
  max: extreme(1),
  min: extreme(-1),
  reject: selecting(false, false),
  rejectattr: selecting(false, true),
  reverse: reversed,
  select: selecting(true, false),
  selectattr: selecting(true, true),
  sort,
  sum,
  unique,
};

/** `map(attribute=…)`: the attribute of each item, or what stands in for a missing one. */
export function mapAttribute(value: Value, path: Value, instead: Value): Value[] {
  return items(value).map((item) => {
    const found =
      isDict(item) || isList(item) || typeof path !== "string" ? under(item, path) : attribute(item, path);
    return found === undefined ? instead : found;
  });
}
