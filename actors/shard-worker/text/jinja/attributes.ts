/** `value.name` and `value[key]`. */
import { stringMethod } from "./strings.ts";
import {
  Attributes,
  type Callable,
  type Dict,
  equal,
  isDict,
  isList,
  Namespace,
  TemplateError,
  Tuple,
  typeName,
  type Value,
} from "./values.ts";

/** Methods that would change data in place; the reference's sandbox refuses them too. */
const changing = new Set([
  "append",
  "clear",
  "extend",
  "insert",
  "pop",
  "popitem",
  "remove",
  "reverse",
  "setdefault",
  "sort",
  "update",
]);

/** `value.name`: a method before an entry, as Python looks an attribute up. */
export function attribute(value: Value, name: string): Value {
  const method = methodOf(value, name);
  if (method) return method;
  return entry(value, name);
}

/** `value[key]`: an entry before a method. */
export function subscript(value: Value, key: Value): Value {
  const found = entry(value, key);
  return found === undefined && typeof key === "string" ? methodOf(value, key) : found;
}

function entry(value: Value, key: Value): Value {
  if (value === undefined) throw new TemplateError(`'undefined value' has no attribute '${String(key)}'`);
  if (isDict(value)) return value.get(key);
  if (value instanceof Namespace) return typeof key === "string" ? value.attributes.get(key) : undefined;
  if (value instanceof Attributes) return typeof key === "string" ? value.get(key) : undefined;
  if (typeof key !== "number") return undefined;
  if (isList(value)) return value.at(key);
  return typeof value === "string" ? [...value].at(key) : undefined;
}

function methodOf(value: Value, name: string): Callable | undefined {
  const method =
    typeof value === "string"
      ? stringMethod(value, name)
      : isDict(value)
        ? dictMethod(value, name)
        : isList(value)
          ? listMethod(value, name)
          : undefined;
  if (method || !changing.has(name) || !(isDict(value) || isList(value))) return method;
  if (isDict(value) && value.has(name)) return undefined;
  return () => {
    throw new TemplateError(`access to attribute '${name}' of '${typeName(value)}' object is unsafe`);
  };
}

function dictMethod(dict: Dict, name: string): Callable | undefined {
  switch (name) {
    case "get":
      return ([key, otherwise = null]) => (dict.has(key) ? dict.get(key) : otherwise);
    case "items":
      return () => [...dict].map(([key, value]) => Tuple.of<Value>(key, value) as Tuple);
    case "keys":
      return () => [...dict.keys()];
    case "values":
      return () => [...dict.values()];
    case "copy":
      return () => new Map(dict);
    default:
      return undefined;
  }
}

function listMethod(list: readonly Value[], name: string): Callable | undefined {
  switch (name) {
    case "index":
      return ([item]) => {
        const at = list.findIndex((each) => equal(each, item));
        if (at < 0) throw new TemplateError("value is not in list");
        return at;
      };
    case "count":
      return ([item]) => list.filter((each) => equal(each, item)).length;
    case "copy":
      return () => [...list];
    default:
      return undefined;
  }
}

/** `value[start:stop:step]` with Python's rules for what is left out or negative. */
export function sliced(value: Value, bounds: readonly Value[]): Value {
  if (typeof value !== "string" && !isList(value)) {
    throw new TemplateError(`'${typeName(value)}' object cannot be sliced`);
  }
  const whole: readonly Value[] = typeof value === "string" ? [...value] : value;
  const picked = places(whole.length, bounds.map(bound)).map((at) => whole[at]);
  if (typeof value === "string") return picked.join("");
  return value instanceof Tuple ? (Tuple.from(picked) as Tuple) : picked;
}

/** The places that a slice picks out of so many. */
function places(length: number, [start, stop, step = 1]: readonly (number | undefined)[]): number[] {
  if (step === 0) throw new TemplateError("slice step cannot be zero");
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
  const clamp = (at: number): number => Math.min(Math.max(at < 0 ? at + length : at, low), high);
  const from = start === undefined ? (step > 0 ? low : high) : clamp(start);
  const to = stop === undefined ? (step > 0 ? high : low) : clamp(stop);
  const found: number[] = [];
  for (let at = from; step > 0 ? at < to : at > to; at += step) found.push(at);
  return found;
}

function bound(value: Value): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" || typeof value === "boolean") return Number(value);
  throw new TemplateError(`slice indices must be integers, not ${typeName(value)}`);
}
