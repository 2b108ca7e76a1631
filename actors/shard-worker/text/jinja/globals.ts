/** The functions that every template may call: Jinja's own and those that transformers adds. */
import { strftime } from "./strftime.ts";
import {
  type Callable,
  isDict,
  isList,
  isNumber,
  items,
  type Named,
  Namespace,
  numberOf,
  print,
  TemplateError,
  typeName,
  type Value,
} from "./values.ts";

/** As in Jinja's sandbox. */
const maxRange = 100_000;

export function globals(nowMs: number): Readonly<Record<string, Value>> {
  const date = new Date(nowMs);
  return {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    range,
    dict,
    namespace: (args, named) =>
      new Namespace(new Map([...dict(args, named)].map(([key, each]) => [print(key), each]))),
    joiner,
    raise_exception: ([message]) => {
      throw new TemplateError(print(message), true);
    },
    strftime_now: ([format]) => strftime(date, print(format)),
  };
}

function range(args: readonly Value[]): Value {
  const [a, b, c] = args.map((each) => {
    if (isNumber(each) && Number.isInteger(numberOf(each))) return numberOf(each);
    throw new TemplateError(`'${typeName(each)}' object cannot be interpreted as an integer`);
  });
  const [start, stop, step] = b === undefined ? [0, a ?? 0, 1] : [a ?? 0, b, c ?? 1];
  if (step === 0) throw new TemplateError("range() arg 3 must not be zero");
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (length > maxRange)
    throw new TemplateError(`Range too big. The sandbox blocks ranges larger than ${maxRange}.`);
  return Array.from({ length }, (_, at) => start + at * step);
}

/** `dict(…)` and the start of `namespace(…)`: from a dict or pairs, then from named arguments. */
function dict([source]: readonly Value[], named: Named): Map<Value, Value> {
  const result = new Map<Value, Value>();
  if (isDict(source)) for (const [key, value] of source) result.set(key, value);
  else if (isList(source)) {
    for (const pair of source) {
      const [key, value] = items(pair);
      result.set(key, value);
    }
  }
  for (const [key, value] of named) result.set(key, value);
  return result;
}

/** Gives nothing at the first call and the separator at all others. */
const joiner: Callable = ([separator = ", "]) => {
  let used = false;
  return () => {
    const text = used ? separator : "";
    used = true;
    return text;
  };
};
