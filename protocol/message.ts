/** How an actor's messages are declared: once, giving the constructor, the type and the check on arrival. */
import { type Static, type TObject, type TProperties, type TSchema, Type as t } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";

/** A message is tagged by `Actor.Kind`; its other fields are plain data. */
export type Message<Tag extends string, Fields extends TProperties> = {
  readonly type: Tag;
} & Readonly<Static<TObject<Fields>>>;

export type AnyMessage = { readonly type: string };

type Makers<Name extends string, Defs extends Record<string, TProperties>> = {
  readonly [K in keyof Defs & string]: (fields: Static<TObject<Defs[K]>>) => Message<`${Name}.${K}`, Defs[K]>;
};

/** The union of every message an inbox accepts; xstate takes it as its event type. */
export type InboxMessage<I> = {
  [K in keyof I]: I[K] extends (fields: never) => infer M ? M : never;
}[keyof I];

const schemas = new Map<string, TObject>();
const bulk = new Set<string>();
const kept = new Set<string>();
const checks = new Map<string, TypeCheck<TObject>>();

/**
 * Declares what one actor accepts: a constructor per message, and the schema `accept` checks bytes against. Those that are `bulk` go
 * between nodes on a link of their own, in order, with or without a body, so that they never hold up a heartbeat. Those that are `kept` wait
 * where a link is full: somebody waits for them, and nobody says them again.
 */
export function inbox<const Name extends string, const Defs extends Record<string, TProperties>>(
  name: Name,
  defs: Defs,
  lanes: { readonly [Lane in "bulk" | "kept"]?: readonly (keyof Defs & string)[] } = {},
): Makers<Name, Defs> {
  for (const kind of lanes.bulk ?? []) bulk.add(`${name}.${kind}`);
  for (const kind of lanes.kept ?? []) kept.add(`${name}.${kind}`);
  const makers = Object.entries(defs).map(([kind, fields]) => {
    const type = `${name}.${kind}`;
    schemas.set(type, t.Object(fields));
    return [kind, (given: object) => ({ type, ...given })];
  });
  return Object.fromEntries(makers);
}

/** What a peer sent cannot be understood; the connection it came by is dropped. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** Whether messages of this type go by the lane for tensors. */
export const isBulk = (type: string): boolean => bulk.has(type);

/** Whether messages of this type wait where a link is full. */
export const isKept = (type: string): boolean => kept.has(type);

/** Every declared message with the schema of its fields, for tools that write down what is spoken. */
export const declared = (): ReadonlyMap<string, TObject> => schemas;

/** False for a message of a kind that no inbox here declares; throws ProtocolError when it is no message at all. */
export function isDeclared(value: unknown): value is AnyMessage {
  if (!isMessage(value)) throw new ProtocolError("a message must be a map with a text field `type`");
  return schemas.has(value.type);
}

/** Narrows a decoded value to a known message, or says exactly what is wrong with it. Unknown fields pass. */
export function accept(value: unknown): AnyMessage {
  if (!isMessage(value)) throw new ProtocolError("a message must be a map with a text field `type`");
  const { type } = value;
  const check = checkOf(type);
  if (check.Check(value)) return value;
  const first = check.Errors(value).First();
  throw new ProtocolError(`${type}${first?.path ?? ""}: ${first?.message ?? "does not match"}`);
}

const isMessage = (value: unknown): value is AnyMessage =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";

/** Compiled on first use: compiling all at start would cost a newcomer's first command. */
function checkOf(type: string): TypeCheck<TObject> {
  const known = checks.get(type);
  if (known) return known;
  const schema = schemas.get(type);
  if (!schema) throw new ProtocolError(`unknown message ${type}`);
  const made = TypeCompiler.Compile(bounded(schema));
  checks.set(type, made);
  return made;
}

const LARGEST = { minimum: -Number.MAX_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER };

/**
 * The schema with bounds on every number that states none: a counter, time or size of 2^64 would poison whoever takes the largest
 * (T30). A field that may be larger says so.
 */
function bounded<S extends TSchema>(schema: S): S {
  const { type, properties, items, anyOf, patternProperties } = schema;
  return {
    ...((type === "integer" || type === "number") && LARGEST),
    ...schema,
    ...(isSchema(items) && { items: bounded(items) }),
    ...(Array.isArray(anyOf) && { anyOf: anyOf.map(bounded) }),
    ...(properties && { properties: eachBounded(properties) }),
    ...(patternProperties && { patternProperties: eachBounded(patternProperties) }),
  };
}

const eachBounded = (fields: Record<string, TSchema>) =>
  Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, bounded(field)]));
const isSchema = (value: unknown): value is TSchema => typeof value === "object" && value !== null;
