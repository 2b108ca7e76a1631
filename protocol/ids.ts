/** Branded ids: a string on the wire, a type of its own in code. */
import { type TUnsafe, Type as t } from "@sinclair/typebox";

declare const brand: unique symbol;
type Id<Of extends string> = string & { readonly [brand]: Of };

const id = <const Of extends string>(of: Of): TUnsafe<Id<Of>> =>
  t.Unsafe<Id<Of>>(t.String({ minLength: 1, maxLength: 256, title: of }));

/** One request of one client, unique across restarts. */
export const RequestId = id("RequestId");
export type RequestId = Id<"RequestId">;

/** Of the same request, asked again of another worker or epoch: what is still said to the try before is told apart. */
export const tryOf = (request: RequestId, tries: number): RequestId =>
  tries === 1 ? request : (`${request}~${tries}` as RequestId);

/** The request that a try is of. */
export const requestOf = (tried: RequestId): RequestId => tried.replace(/~\d+$/, "") as RequestId;

/** Where an actor can be reached: `node/actor`. */
export const Address = id("Address");
export type Address = Id<"Address">;

/** One machine for its life: SHA-256 of its Ed25519 public key in 52 lower-case base32 letters (RFC 4648, no padding). */
export const NodeId = id("NodeId");
export type NodeId = Id<"NodeId">;

/** One cluster for its life: 128 random bits in 26 lower-case base32 letters. */
export const ClusterId = id("ClusterId");
export type ClusterId = Id<"ClusterId">;
