/** The first frame of a link, in both directions: which protocol is spoken, and what this connection is for. */
import { encode } from "@msgpack/msgpack";
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { ProtocolError } from "./message.ts";
import { readMsgpack } from "./msgpack.ts";

/** Rises whenever messages or fields are added; a peer of another major version is refused by TLS (ALPN `exo/1`). */
export const MINOR_VERSION = 0;
/** The oldest minor version that is still understood. */
export const MINOR_VERSION_OLDEST = 0;
export const HELLO_BYTES_MAX = 4096;

export const Hello = t.Object({
  minor: t.Integer({ minimum: 0, maximum: 65535 }),
  oldest: t.Integer({ minimum: 0, maximum: 65535 }),
  /** 128 random bits in hex, new at each start of the node. */
  boot: t.String({ pattern: "^[0-9a-f]{32}$" }),
  lane: t.Union([t.Literal("control"), t.Literal("data"), t.Literal("file")]),
  capabilities: t.Array(t.String({ maxLength: 32 }), { maxItems: 64 }),
});
export type Hello = Static<typeof Hello>;

/** The minor versions that a node speaks, newest and oldest. */
export type Spoken = Pick<Hello, "minor" | "oldest">;
export const SPOKEN: Spoken = { minor: MINOR_VERSION, oldest: MINOR_VERSION_OLDEST };

export const encodeHello = (hello: Hello): Uint8Array => encode(hello);

/** Throws ProtocolError that says what is wrong. Fields of newer versions pass. */
export function decodeHello(bytes: Uint8Array): Hello {
  if (bytes.length > HELLO_BYTES_MAX) throw new ProtocolError(`hello of ${bytes.length} bytes is too long`);
  const value = readMsgpack(bytes);
  if (Value.Check(Hello, value)) return value;
  const first = Value.Errors(Hello, value).First();
  throw new ProtocolError(`hello${first?.path ?? ""}: ${first?.message ?? "does not match"}`);
}

/** The minor version two nodes speak: the lower one, if both still understand it. */
export function commonMinor(a: Spoken, b: Spoken): number | undefined {
  const minor = Math.min(a.minor, b.minor);
  return minor >= a.oldest && minor >= b.oldest ? minor : undefined;
}
