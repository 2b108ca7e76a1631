/** JSON to template values and back, as Python's `json` module writes it. */
import {
  type Dict,
  Float,
  floatText,
  isDict,
  isList,
  items,
  type Named,
  TemplateError,
  truth,
  typeName,
  type Value,
} from "./values.ts";

/** How deep data may be nested before it is refused; Python's own limit is of this order. */
const maxDepth = 500;

/** Plain data as template values. A number with a fraction is a float; `1.0` is known as one only by `dataFromJson`. */
export function valueFromData(data: unknown, depth = 0): Value {
  if (depth > maxDepth) throw new TemplateError(`data nested deeper than ${maxDepth}`);
  if (typeof data === "number") return Number.isInteger(data) ? data : new Float(data);
  if (data === null || data === undefined || typeof data === "string" || typeof data === "boolean")
    return data;
  if (typeof data === "bigint") return Number(data);
  if (data instanceof Float) return data;
  if (Array.isArray(data)) return data.map((each) => valueFromData(each, depth + 1));
  if (typeof data === "object") {
    return new Map(Object.entries(data).map(([key, each]) => [key, valueFromData(each, depth + 1)]));
  }
  throw new TemplateError(`a ${typeof data} cannot be given to a template`);
}

/** JSON text as plain data that `valueFromData` takes; `1.0` stays a float. @throws SyntaxError for text that is not JSON. */
export function dataFromJson(text: string): unknown {
  return JSON.parse(text, (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === "number" && /[.eE]/.test(context?.source ?? "") ? new Float(value) : value,
  );
}

interface Layout {
  readonly indent: string | undefined;
  readonly ascii: boolean;
  readonly sorted: boolean;
  readonly between: string;
  readonly colon: string;
}

/** The `tojson` filter as transformers defines it: `json.dumps` with non-ASCII characters kept. */
export function toJson(value: Value, args: readonly Value[], named: Named): string {
  const option = (name: string, place: number): Value => args[place] ?? named.get(name);
  const indent = option("indent", 1);
  const separators = option("separators", 2);
  const [between, colon] = isList(separators) ? separators : [indent == null ? ", " : ",", ": "];
  return written(
    value,
    {
      indent: indent == null ? undefined : typeof indent === "string" ? indent : " ".repeat(Number(indent)),
      ascii: truth(option("ensure_ascii", 0)),
      sorted: truth(option("sort_keys", 3)),
      between: String(between),
      colon: String(colon),
    },
    0,
  );
}

function written(value: Value, layout: Layout, depth: number): string {
  if (depth > maxDepth) throw new TemplateError(`data nested deeper than ${maxDepth}`);
  if (value === null) return "null";
  if (typeof value === "boolean" || typeof value === "number") return String(value);
  if (value instanceof Float) return jsonFloat(value.value);
  if (typeof value === "string") return text(value, layout);
  if (isList(value)) {
    return enclosed(
      "[]",
      items(value).map((each) => written(each, layout, depth + 1)),
      layout,
      depth,
    );
  }
  if (isDict(value)) return enclosed("{}", members(value, layout, depth), layout, depth);
  throw new TemplateError(`Object of type ${typeName(value)} is not JSON serializable`);
}

function members(dict: Dict, layout: Layout, depth: number): string[] {
  const entries = [...dict].map(
    ([key, each]) => [typeof key === "string" ? key : keyText(key), each] as const,
  );
  if (layout.sorted) entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return entries.map(([key, each]) => text(key, layout) + layout.colon + written(each, layout, depth + 1));
}

const keyText = (key: Value): string =>
  key === null ? "null" : key instanceof Float ? jsonFloat(key.value) : String(key);

const jsonFloat = (value: number): string =>
  Number.isNaN(value)
    ? "NaN"
    : Number.isFinite(value)
      ? floatText(value)
      : value > 0
        ? "Infinity"
        : "-Infinity";

function enclosed(brackets: "[]" | "{}", parts: readonly string[], layout: Layout, depth: number): string {
  const [open, close] = brackets;
  if (layout.indent === undefined || parts.length === 0) return open + parts.join(layout.between) + close;
  const line = `\n${layout.indent.repeat(depth + 1)}`;
  return `${open}${line}${parts.join(layout.between + line)}\n${layout.indent.repeat(depth)}${close}`;
}

/** U+FDD0 to U+FDEF are not escaped: they mark a user's text and are taken out later. */
function text(value: string, { ascii }: Layout): string {
  const json = JSON.stringify(value);
  if (!ascii) return json;
  return json.replace(
    /(?![\ufdd0-\ufdef])[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
