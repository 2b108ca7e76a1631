/** Keys of the HTTP API: what one may do, how it is spelled, and what is kept of it. */
import { type Static, Type as t } from "@sinclair/typebox";

export const SCOPES = [
  "infer",
  "models.read",
  "models.write",
  "cluster.read",
  "cluster.admin",
  "metrics",
] as const;

/** What a key may be good for; each address of the API asks for one. */
export const Scope = t.Union(SCOPES.map((scope) => t.Literal(scope)));
export type Scope = (typeof SCOPES)[number];

/** What is kept of a key. The key itself is shown once, to who made it. */
export const ApiKey = t.Object({
  id: t.String({ pattern: "^[a-z2-7]{8}$" }),
  name: t.String({ minLength: 1, maxLength: 64 }),
  /** SHA-256 of the whole key as it is sent, in hexadecimal. */
  hash: t.String({ pattern: "^[0-9a-f]{64}$" }),
  scopes: t.Array(Scope, { minItems: 1, uniqueItems: true }),
  /** Seconds since 1970. */
  createdAt: t.Integer({ minimum: 0 }),
});
export type ApiKey = Static<typeof ApiKey>;

/** `exo_`, the id in the open, and 256 random bits in base64url. */
export const apiKeyText = (id: string, secret: Uint8Array): string =>
  `exo_${id}_${Buffer.from(secret).toString("base64url")}`;

/** The id inside a key's text; undefined for what is no key of ours. */
export const apiKeyId = (text: string): string | undefined => /^exo_([a-z2-7]{8})_[\w-]{43}$/.exec(text)?.[1];
