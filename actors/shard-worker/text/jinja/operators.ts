/** Python's operators on template values. */
import { percentFormatted } from "./format.ts";
import {
  bounded,
  contains,
  equal,
  Float,
  isList,
  isNumber,
  makeRoom,
  numberOf,
  order,
  print,
  TemplateError,
  typeName,
  type Value,
} from "./values.ts";

type Operator = (left: Value, right: Value) => Value;

const refuse = (sign: string, left: Value, right: Value): never => {
  throw new TemplateError(
    `unsupported operand type(s) for ${sign}: '${typeName(left)}' and '${typeName(right)}'`,
  );
};

const arithmetic =
  (sign: string, compute: (a: number, b: number) => number): Operator =>
  (left, right) => {
    if (!isNumber(left) || !isNumber(right)) return refuse(sign, left, right);
    const result = compute(numberOf(left), numberOf(right));
    return left instanceof Float || right instanceof Float ? new Float(result) : result;
  };

const dividing =
  (compute: (a: number, b: number) => number) =>
  (a: number, b: number): number => {
    if (b === 0) throw new TemplateError("division by zero");
    return compute(a, b);
  };

const plus = arithmetic("+", (a, b) => a + b);
const times = arithmetic("*", (a, b) => a * b);
const modulo = arithmetic(
  "%",
  dividing((a, b) => a - b * Math.floor(a / b)),
);

export function add(left: Value, right: Value): Value {
  if (typeof left === "string" && typeof right === "string") return bounded(left + right);
  if (isList(left) && isList(right)) {
    makeRoom(left.length + right.length);
    return [...left, ...right];
  }
  if (typeof left === "string") {
    throw new TemplateError(`can only concatenate str (not "${typeName(right)}") to str`);
  }
  return plus(left, right);
}

function multiply(left: Value, right: Value): Value {
  const [whole, count] = typeof right === "number" ? [left, right] : [right, left];
  if (typeof count !== "number") return times(left, right);
  const size = typeof whole === "string" || isList(whole) ? whole.length * count : 0;
  makeRoom(size);
  if (typeof whole === "string") return whole.repeat(Math.max(0, count));
  if (isList(whole)) return Array.from({ length: Math.max(0, count) }, () => whole).flat();
  return times(left, right);
}

const compared =
  (holds: (difference: number) => boolean): Operator =>
  (left, right) =>
    holds(order(left, right));

const table: Readonly<Record<string, Operator>> = {
  "==": equal,
  "!=": (left, right) => !equal(left, right),
  "<": compared((difference) => difference < 0),
  "<=": compared((difference) => difference <= 0),
  ">": compared((difference) => difference > 0),
  ">=": compared((difference) => difference >= 0),
  in: (left, right) => contains(right, left),
  "not in": (left, right) => !contains(right, left),
  "~": (left, right) => bounded(print(left) + print(right)),
  "+": add,
  "-": arithmetic("-", (a, b) => a - b),
  "*": multiply,
  "/": (left, right) => {
    if (!isNumber(left) || !isNumber(right)) return refuse("/", left, right);
    return new Float(dividing((a, b) => a / b)(numberOf(left), numberOf(right)));
  },
  "//": arithmetic(
    "//",
    dividing((a, b) => Math.floor(a / b)),
  ),
  "%": (left, right) =>
    typeof left === "string" ? bounded(percentFormatted(left, right)) : modulo(left, right),
  "**": (left, right) => {
    const result = arithmetic("** or pow()", (a, b) => a ** b)(left, right);
    return typeof result === "number" && !Number.isInteger(result) ? new Float(result) : result;
  },
};

export function operate(sign: string, left: Value, right: Value): Value {
  const operator = Object.hasOwn(table, sign) ? table[sign] : undefined;
  if (!operator) throw new TemplateError(`unknown operator '${sign}'`);
  return operator(left, right);
}

export function negate(sign: string, value: Value): Value {
  if (!isNumber(value)) throw new TemplateError(`bad operand type for unary ${sign}: '${typeName(value)}'`);
  const result = sign === "-" ? -numberOf(value) : numberOf(value);
  return value instanceof Float ? new Float(result) : result === 0 ? 0 : result;
}
