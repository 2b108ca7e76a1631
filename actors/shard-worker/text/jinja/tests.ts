/** Jinja's tests: what may stand after `is`. https://jinja.palletsprojects.com/en/stable/templates/#list-of-builtin-tests */
import {
  contains,
  equal,
  Float,
  isDict,
  isList,
  isNumber,
  numberOf,
  order,
  TemplateError,
  typeName,
  type Value,
} from "./values.ts";

type Test = (value: Value, argument: Value) => boolean;

const remainder = (value: Value, by: Value): number => {
  if (isNumber(value) && isNumber(by)) return numberOf(value) % numberOf(by);
  throw new TemplateError(`unsupported operand type(s) for %: '${typeName(value)}' and '${typeName(by)}'`);
};
const isIterable = (value: Value): boolean =>
  value === undefined || typeof value === "string" || isList(value) || isDict(value);

const equals: Test = (a, b) => equal(a, b);
const less: Test = (a, b) => order(a, b) < 0;
const greater: Test = (a, b) => order(a, b) > 0;

const table: Readonly<Record<string, Test>> = {
  boolean: (value) => typeof value === "boolean",
  callable: (value) => typeof value === "function",
  defined: (value) => value !== undefined,
  undefined: (value) => value === undefined,
  divisibleby: (value, by) => remainder(value, by) === 0,
  eq: equals,
  equalto: equals,
  "==": equals,
  ne: (a, b) => !equal(a, b),
  "!=": (a, b) => !equal(a, b),
  lt: less,
  lessthan: less,
  "<": less,
  gt: greater,
  greaterthan: greater,
  ">": greater,
  le: (a, b) => order(a, b) <= 0,
  "<=": (a, b) => order(a, b) <= 0,
  ge: (a, b) => order(a, b) >= 0,
  ">=": (a, b) => order(a, b) >= 0,
  escaped: () => false,
  even: (value) => remainder(value, 2) === 0,
  odd: (value) => Math.abs(remainder(value, 2)) === 1,
  false: (value) => value === false,
  true: (value) => value === true,
  none: (value) => value === null,
  float: (value) => value instanceof Float,
  integer: (value) => typeof value === "number",
  number: (value) => isNumber(value),
  in: (item, container) => contains(container, item),
  iterable: isIterable,
  mapping: (value) => isDict(value),
  sequence: isIterable,
  string: (value) => typeof value === "string",
  lower: (value) => typeof value === "string" && /\p{Ll}/u.test(value) && value === value.toLowerCase(),
  upper: (value) => typeof value === "string" && /\p{Lu}/u.test(value) && value === value.toUpperCase(),
  sameas: (a, b) => a === b,
};

/** @throws TemplateError for a test that Jinja does not have. */
export function testNamed(name: string): Test {
  const test = Object.hasOwn(table, name) ? table[name] : undefined;
  if (test) return test;
  throw new TemplateError(`No test named '${name}'.`);
}
