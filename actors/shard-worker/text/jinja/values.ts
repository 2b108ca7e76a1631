/**
 * The values of a template and their Python semantics: truth, equality, order, iteration, and how they print.
 * Integers are JavaScript numbers, so exact up to 2^53; floats are boxed, because Python prints 1 and 1.0 differently.
 */

/** What a failing template says; `raised` where the template did it itself, by `raise_exception`. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
  readonly raised: boolean;

  constructor(message: string, raised = false) {
    super(message);
    this.raised = raised;
  }
}

export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** A list that prints in round brackets. Its methods give plain lists. */
export class Tuple extends Array<Value> {
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

/** `namespace()`: the only value whose attributes a template may set. */
export class Namespace {
  readonly attributes: Map<string, Value>;

  constructor(attributes: Map<string, Value>) {
    this.attributes = attributes;
  }
}

/** An object with attributes that cannot be set: `loop`. */
export class Attributes {
  readonly get: (name: string) => Value;

  constructor(get: (name: string) => Value) {
    this.get = get;
  }
}

export type Dict = Map<Value, Value>;
export type Named = ReadonlyMap<string, Value>;
export type Callable = (args: readonly Value[], named: Named) => Value;
export type Value =
  | undefined
  | null
  | boolean
  | number
  | string
  | Float
  | Value[]
  | Dict
  | Namespace
  | Attributes
  | Callable;

export const isList = (value: Value): value is Value[] => Array.isArray(value);
export const isDict = (value: Value): value is Dict => value instanceof Map;
/** Python counts booleans among the integers. */
export const isNumber = (value: Value): value is number | boolean | Float =>
  typeof value === "number" || typeof value === "boolean" || value instanceof Float;
export const numberOf = (value: number | boolean | Float): number =>
  value instanceof Float ? value.value : Number(value);

/**
 * The longest text or list that one operation may make, in UTF-16 units or items: three times the longest prompts
 * known, and little beside what a machine holds.
 */
export const maxLength = 1 << 24;

/** @throws TemplateError before something is made that is longer than any prompt. */
export function makeRoom(length: number): void {
  if (length <= maxLength) return;
  throw new TemplateError(`a value longer than ${maxLength} is more than a prompt can be`);
}

export function bounded(text: string): string {
  makeRoom(text.length);
  return text;
}

/** The type as Python names it. */
export function typeName(value: Value): string {
  if (value === undefined) return "Undefined";
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return "int";
  if (typeof value === "string") return "str";
  if (value instanceof Float) return "float";
  if (isList(value)) return value instanceof Tuple ? "tuple" : "list";
  if (isDict(value)) return "dict";
  return typeof value === "function" ? "function" : "object";
}

export function truth(value: Value): boolean {
  if (value === undefined || value === null) return false;
  if (isNumber(value)) return numberOf(value) !== 0;
  if (typeof value === "string" || isList(value)) return value.length > 0;
  return isDict(value) ? value.size > 0 : true;
}

export function equal(a: Value, b: Value): boolean {
  if (isNumber(a) && isNumber(b)) return numberOf(a) === numberOf(b);
  if (isList(a) && isList(b)) {
    return (
      a instanceof Tuple === b instanceof Tuple &&
      a.length === b.length &&
      a.every((item, index) => equal(item, b[index]))
    );
  }
  if (isDict(a) && isDict(b)) {
    return a.size === b.size && [...a].every(([key, value]) => b.has(key) && equal(value, b.get(key)));
  }
  return a === b;
}

/** Negative, zero or positive. @throws TemplateError for values that Python does not order. */
export function order(a: Value, b: Value): number {
  if (isNumber(a) && isNumber(b)) return numberOf(a) - numberOf(b);
  if (typeof a === "string" && typeof b === "string") return orderStrings(a, b);
  if (isList(a) && isList(b)) {
    for (let index = 0; index < Math.min(a.length, b.length); index++) {
      if (!equal(a[index], b[index])) return order(a[index], b[index]);
    }
    return a.length - b.length;
  }
  throw new TemplateError(`'<' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
}

/** By code points; UTF-16 units order characters beyond U+FFFF wrongly. */
function orderStrings(a: string, b: string): number {
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    if (a[at] !== b[at]) return (a.codePointAt(at) ?? 0) - (b.codePointAt(at) ?? 0);
  }
  return a.length - b.length;
}

/** The items that a loop goes through; of a dict its keys, of a string its characters, of an undefined value none. */
export function items(value: Value): readonly Value[] {
  if (isList(value)) return value;
  if (typeof value === "string") return [...value];
  if (isDict(value)) return [...value.keys()];
  if (value === undefined) return [];
  throw new TemplateError(`'${typeName(value)}' object is not iterable`);
}

export function contains(container: Value, item: Value): boolean {
  if (typeof container === "string") {
    if (typeof item === "string") return container.includes(item);
    throw new TemplateError(`'in <string>' requires string as left operand, not ${typeName(item)}`);
  }
  if (isDict(container)) return container.has(item);
  return items(container).some((each) => equal(each, item));
}

export function lengthOf(value: Value): number {
  if (isDict(value)) return value.size;
  if (isList(value)) return value.length;
  if (typeof value === "string" || value === undefined) return items(value).length;
  throw new TemplateError(`object of type '${typeName(value)}' has no len()`);
}

/** `str(value)`: what `{{ value }}` prints. */
export function print(value: Value): string {
  if (typeof value === "string") return value;
  return value === undefined ? "" : represent(value);
}

/** `repr(value)`: how a value prints inside a list or a dict. */
export function represent(value: Value): string {
  if (value === undefined) return "Undefined";
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  if (value instanceof Float) return floatText(value.value);
  if (typeof value === "string") return quoted(value);
  if (value instanceof Tuple) {
    const inner = Array.from(value, represent).join(", ");
    return value.length === 1 ? `(${inner},)` : `(${inner})`;
  }
  if (isList(value)) return `[${value.map(represent).join(", ")}]`;
  if (isDict(value)) {
    return `{${[...value].map(([key, each]) => `${represent(key)}: ${represent(each)}`).join(", ")}}`;
  }
  return `<${typeName(value)}>`;
}

/** `repr(float)`: the shortest text that reads back the same, in Python's spelling of it. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits = "", exponent = ""] = value.toExponential().split("e");
    const sign = exponent.startsWith("-") ? "-" : "+";
    return `${digits}e${sign}${exponent.slice(1).padStart(2, "0")}`;
  }
  const text = Object.is(value, -0) ? "-0" : String(value);
  return text.includes(".") ? text : `${text}.0`;
}

const escapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };
/** What Python's repr escapes: all that is not printable. U+FDD0 to U+FDEF stay: they mark a user's text. */
const unprintable = /(?![\ufdd0-\ufdef ])[\p{C}\p{Z}]/gu;

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = text
    .replace(/[\n\r\t\\]/g, (character) => escapes[character] ?? character)
    .replaceAll(quote, `\\${quote}`)
    .replace(unprintable, (character) => {
      const code = character.codePointAt(0) ?? 0;
      if (code <= 0xff) return `\\x${code.toString(16).padStart(2, "0")}`;
      return code <= 0xffff
        ? `\\u${code.toString(16).padStart(4, "0")}`
        : `\\U${code.toString(16).padStart(8, "0")}`;
    });
  return quote + body + quote;
}
