/** Python's two ways of putting values into text: `"%s" % x` and `"{}".format(x)`. */
import {
  isDict,
  isList,
  isNumber,
  type Named,
  numberOf,
  print,
  represent,
  TemplateError,
  Tuple,
  type Value,
} from "./values.ts";

/** No template needs wider fields or more decimals; without a bound one call could fill the memory. */
const maxWidth = 1000;

const percent = /%(?:\((\w+)\))?([-+ 0#]*)(\d+)?(?:\.(\d+))?([sdifrxXeg%])/g;

/** `text % values`, where a tuple holds several values and a dict named ones. */
export function percentFormatted(text: string, values: Value): string {
  const queue: Value[] = values instanceof Tuple ? [...values] : [values];
  const take = (name: string | undefined): Value => {
    if (name !== undefined) return isDict(values) ? values.get(name) : undefined;
    if (queue.length === 0) throw new TemplateError("not enough arguments for format string");
    return queue.shift();
  };
  const result = text.replace(percent, (_all, name, flags, width, precision, kind) =>
    kind === "%" ? "%" : laidOut(take(name), { ...percentFlags(flags), width, precision, kind }),
  );
  if (queue.length > 0 && !isDict(values)) {
    throw new TemplateError("not all arguments converted during string formatting");
  }
  return result;
}

const percentFlags = (flags: string): Pick<Layout, "align" | "sign" | "fill"> => ({
  // Unlike `format`, this puts text to the right, too.
  align: flags.includes("-") ? "<" : ">",
  sign: flags.includes("+") ? "+" : "",
  fill: flags.includes("0") && !flags.includes("-") ? "0" : "",
});

const field = /\{\{|\}\}|\{([^{}!:]*)(?:!([rs]))?(?::([^{}]*))?\}/g;

/** `text.format(...)`: fields by place or by name, with `.attribute` or `[key]` after it. */
export function formatted(text: string, args: readonly Value[], named: Named): string {
  let next = 0;
  return text.replace(field, (all, path, conversion, spec) => {
    if (all === "{{" || all === "}}") return all.slice(1);
    const [head = "", ...rest] = path.split(/[.[\]]+/);
    const place = head === "" ? next++ : Number(head);
    const value = following(Number.isNaN(place) ? named.get(head) : args[place], rest);
    if (value === undefined) throw new TemplateError(`format has no value for the field "${path}"`);
    return laidOut(conversion === "r" ? represent(value) : value, layoutOf(spec ?? ""));
  });
}

/** The value under these keys. */
function following(value: Value, keys: readonly string[]): Value {
  let found = value;
  for (const key of keys.filter((each) => each !== "")) {
    found = isList(found) ? found[Number(key)] : isDict(found) ? found.get(key) : undefined;
  }
  return found;
}

function layoutOf(spec: string): Layout {
  const parts = /^(?:(.)?([<>^=]))?([-+ ])?(0)?(\d+)?(?:\.(\d+))?([sdfrxXeg%])?$/u.exec(spec);
  if (!parts) throw new TemplateError(`format specifier "${spec}" is not supported`);
  const [, fill, align = "", sign = "", zero = "", width, precision, kind = ""] = parts;
  return { fill: fill ?? zero, align, sign, width, precision, kind };
}

interface Layout {
  readonly fill: string;
  readonly align: string;
  readonly sign: string;
  readonly width: string | undefined;
  readonly precision: string | undefined;
  readonly kind: string;
}

function laidOut(value: Value, { fill, align, sign, width, precision, kind }: Layout): string {
  const bare = inKind(value, kind, precision);
  const signed = sign === "+" && isNumber(value) && !bare.startsWith("-") ? `+${bare}` : bare;
  const room = Math.min(Number(width ?? 0), maxWidth) - [...signed].length;
  if (room <= 0) return signed;
  const padding = (fill || " ").repeat(room);
  if (align === "<" || (align === "" && fill === "" && !isNumber(value))) return signed + padding;
  if (align === "^") return padding.slice(0, room >> 1) + signed + padding.slice(room >> 1);
  const cut = fill === "0" && /^[+-]/.test(signed) ? 1 : 0;
  return signed.slice(0, cut) + padding + signed.slice(cut);
}

function inKind(value: Value, kind: string, precision: string | undefined): string {
  const digits = Math.min(Number(precision ?? 6), 100);
  if (kind === "r") return represent(value);
  if (kind === "s" || kind === "") {
    const text = print(value);
    return precision === undefined ? text : [...text].slice(0, digits).join("");
  }
  if (!isNumber(value)) throw new TemplateError(`format "${kind}" needs a number`);
  const number = numberOf(value);
  if (kind === "d") return String(Math.trunc(number));
  if (kind === "x") return Math.trunc(number).toString(16);
  if (kind === "X") return Math.trunc(number).toString(16).toUpperCase();
  if (kind === "f") return number.toFixed(digits);
  if (kind === "%") return `${(number * 100).toFixed(digits)}%`;
  if (kind === "e") return number.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2");
  return String(Number(number.toPrecision(Math.max(1, digits))));
}
