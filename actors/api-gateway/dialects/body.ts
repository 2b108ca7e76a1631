/** Checks a decoded JSON body against a schema and says what is wrong in the client's own field names. */
import { Kind, type Static, type TObject, type TSchema, TypeGuard } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import { type ValueError, ValueErrorType } from "@sinclair/typebox/errors";
import { Fault } from "./fault.ts";

/** Longer values are cut in messages: a client must not get its own megabytes back. */
const SHOWN_CHARS_MAX = 60;

/** A checker of one schema, compiled at its first use. Null counts as absent, unknown fields pass. */
export function bodyOf<const Schema extends TObject>(schema: Schema): (json: unknown) => Static<Schema> {
  let check: TypeCheck<Schema> | undefined;
  return (json) => {
    check ??= TypeCompiler.Compile(schema);
    const body = withoutNulls(schema, json);
    if (check.Check(body)) return body;
    const error = check.Errors(body).First();
    throw error ? fault(error) : new Fault("invalid_value", "the body does not match");
  };
}

function withoutNulls(schema: TSchema, value: unknown): unknown {
  if (TypeGuard.IsArray(schema) && Array.isArray(value))
    return value.map((item) => withoutNulls(schema.items, item));
  if (!(TypeGuard.IsObject(schema) && isRecord(value))) return value;
  const kept = Object.entries(value).filter(
    ([key, given]) => given !== null || !Object.hasOwn(schema.properties, key),
  );
  return Object.fromEntries(
    kept.map(([key, given]) => {
      const property = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
      return [key, property ? withoutNulls(property, given) : given];
    }),
  );
}

function fault({ type, path, schema, value }: ValueError): Fault {
  const param = paramOf(path);
  if (type === ValueErrorType.ObjectRequiredProperty || value === undefined) {
    return new Fault("missing_required_parameter", `\`${param}\` is missing`, {
      param,
      remedy: `it is ${describe(schema)}`,
    });
  }
  const name = param === "" ? "the body" : `\`${param}\``;
  return new Fault("invalid_value", `${name} must be ${describe(schema)}, not ${shown(value)}`, {
    ...(param && { param }),
  });
}

/** `/messages/0/content` (a JSON pointer, RFC 6901) as OpenAI writes it: `messages[0].content`. */
function paramOf(pointer: string): string {
  const steps = pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return steps.map((step, at) => (/^\d+$/.test(step) ? `[${step}]` : at === 0 ? step : `.${step}`)).join("");
}

function describe(schema: TSchema): string {
  if (typeof schema.description === "string") return schema.description;
  switch (schema[Kind]) {
    case "Number":
      return `a number${range(schema)}`;
    case "Integer":
      return `a whole number${range(schema)}`;
    case "String":
      return text(schema);
    case "Boolean":
      return "true or false";
    case "Array":
      return schema.minItems ? "a list that is not empty" : "a list";
    default:
      return words(schema) ?? "an object";
  }
}

/** Of a field that takes certain words alone: which. */
function words(schema: TSchema): string | undefined {
  const each = TypeGuard.IsUnion(schema) ? schema.anyOf : [schema];
  return each.every(TypeGuard.IsLiteral) ? each.map((one) => String(one.const)).join(" or ") : undefined;
}

function text({ minLength = 0, maxLength }: TSchema): string {
  if (maxLength === undefined) return minLength > 0 ? "a text that is not empty" : "a text";
  return minLength > 0
    ? `a text of ${minLength} to ${maxLength} characters`
    : `a text of at most ${maxLength} characters`;
}

function range({ minimum, maximum, exclusiveMinimum }: TSchema): string {
  if (exclusiveMinimum !== undefined) return ` above ${exclusiveMinimum}`;
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  return minimum === undefined ? "" : ` of at least ${minimum}`;
}

/** A value as JSON, cut short. */
export function shown(value: unknown): string {
  if (Array.isArray(value) && value.length > 0) return "a list";
  if (isRecord(value)) return "an object";
  const json = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? "nothing");
  return json.length > SHOWN_CHARS_MAX ? `${json.slice(0, SHOWN_CHARS_MAX)}…` : json;
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The fields that are there: what `exactOptionalPropertyTypes` asks of an object with absent fields. */
export const present = <Fields extends object>(
  fields: Fields,
): { [K in keyof Fields]?: Exclude<Fields[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof Fields]?: Exclude<Fields[K], undefined>;
  };
