/**
 * Sample values of a schema, the same on every machine and in every run: the least that it allows, everything that it names, and each
 * alternative once. What is written down of a protocol version is made of these.
 */
import type { TSchema } from "@sinclair/typebox";

/** Lists in samples have so many items where the schema allows it. */
const ITEMS = 2;
/** One value that a library's number or text could get wrong; the bounds of a field come first. */
const NUMBER = 300;

type Fullness = "least" | "full";

/** All samples of one message's fields, without doubles. */
export function samples(schema: TSchema): readonly unknown[] {
  const all = [sample(schema, "least", 0), ...alternatives(schema).map((nth) => sample(schema, "full", nth))];
  return [...new Map(all.map((value) => [Bun.inspect(value, { depth: 99 }), value])).values()];
}

/** Enough numbers that each alternative of each union is taken by one of them. */
function alternatives(schema: TSchema): readonly number[] {
  return Array.from({ length: Math.max(1, widest(schema)) }, (_, nth) => nth);
}

function widest(schema: TSchema): number {
  const children: TSchema[] = [
    ...(schema.anyOf ?? []),
    ...Object.values<TSchema>(schema.properties ?? {}),
    ...Object.values<TSchema>(schema.patternProperties ?? {}),
    ...(schema.items ? [schema.items as TSchema] : []),
  ];
  return Math.max(schema.anyOf?.length ?? 0, ...children.map(widest));
}

function sample(schema: TSchema, how: Fullness, nth: number): unknown {
  if (schema.anyOf) return sample(schema.anyOf[nth % schema.anyOf.length], how, nth);
  if (schema.const !== undefined) return schema.const;
  switch (schema.type) {
    case "object":
      return object(schema, how, nth);
    case "array":
      return list(schema, how, nth);
    case "string":
      return text(schema, how);
    case "integer":
    case "number":
      return number(schema, how);
    case "boolean":
      return how === "full";
    case "Uint8Array":
      return bytes(schema, how);
    case "null":
      return null;
    default:
      // t.Unknown() stands for whatever JSON holds.
      return how === "full" ? { any: [1, "two", null] } : 0;
  }
}

function object(schema: TSchema, how: Fullness, nth: number): object {
  if (schema.patternProperties) {
    const [value] = Object.values<TSchema>(schema.patternProperties);
    return how === "full" && value ? { "1": sample(value, how, nth) } : {};
  }
  const required: readonly string[] = schema.required ?? [];
  const named = Object.entries<TSchema>(schema.properties ?? {});
  const kept = named.filter(([name]) => how === "full" || required.includes(name));
  return Object.fromEntries(kept.map(([name, field]) => [name, sample(field, how, nth)]));
}

function list({ items, minItems = 0, maxItems = ITEMS }: TSchema, how: Fullness, nth: number): unknown[] {
  const count = how === "full" ? Math.max(minItems, Math.min(maxItems, ITEMS)) : minItems;
  return Array.from({ length: count }, (_, i) => sample(items, how, nth + i));
}

function text({ pattern, minLength = 0, maxLength = 256, title = "text" }: TSchema, how: Fullness): string {
  if (pattern) return patterned(pattern);
  const wanted = how === "full" ? `${title} é世` : "";
  return wanted.slice(0, maxLength).padEnd(minLength, "x");
}

/** Patterns in use are `^[set]{count}$`. */
function patterned(pattern: string): string {
  const [, first = "a", count = "1"] = /^\^\[(.).*\]\{(\d+)/.exec(pattern) ?? [];
  return first.repeat(Number(count));
}

function number({ type, minimum, exclusiveMinimum, maximum }: TSchema, how: Fullness): number {
  const least = minimum ?? (exclusiveMinimum === undefined ? 0 : exclusiveMinimum + 1);
  const small = Math.max(least, Math.min(0, maximum ?? 0));
  if (how === "least") return small;
  const wanted = type === "integer" ? NUMBER : NUMBER + 0.5;
  return Math.max(small, Math.min(wanted, maximum ?? wanted));
}

function bytes({ minByteLength = 0, maxByteLength = 8 }: TSchema, how: Fullness): Uint8Array {
  const length = how === "full" ? Math.max(minByteLength, Math.min(maxByteLength, 8)) : minByteLength;
  return Uint8Array.from({ length }, (_, i) => (i * 37) & 0xff);
}
