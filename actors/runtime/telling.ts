/** Sending for who must know what became of it: one that a full way refuses may be sent later, one that nobody hears may not. */
import type { Address } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import type { ActorSystem } from "./system.ts";

/** It is on its way; there is no room for it until `full` resolves; or nobody is there. */
export type Sent = "taken" | { readonly full: Promise<void> } | "gone";

export type Tell = (to: Address, message: AnyMessage, body?: Uint8Array) => Sent;

export const telling =
  (system: Pick<ActorSystem, "send" | "room">, self: Address): Tell =>
  (to, message, body) => {
    if (system.send(to, message, self, body)) return "taken";
    const full = system.room(to);
    return full === undefined ? "gone" : { full };
  };
