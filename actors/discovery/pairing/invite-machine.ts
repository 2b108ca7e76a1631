/** The life of one invite: one machine may come in by it, three wrong codes close it, and it ends by itself. */
import { assign, setup } from "xstate";
import type { NodeId } from "#protocol/ids";

export type InviteEvent =
  /** A machine began to prove a code: that is one try until it succeeds. */
  | { readonly type: "Tried" }
  | { readonly type: "WrongCode"; readonly from: string }
  /** The code was right, and still the machine did not come in; the try is given back. */
  | { readonly type: "CameToNothing"; readonly why: string }
  | { readonly type: "CameIn"; readonly node: NodeId; readonly name: string; readonly trouble?: string }
  | { readonly type: "Close" };

export interface InviteContext {
  readonly triesLeft: number;
  readonly untilMs: number;
  readonly nowMs: () => number;
  readonly joined?: { readonly node: NodeId; readonly name: string };
  /** What went wrong last, or in the end. */
  readonly trouble?: string | undefined;
}

export const INVITE_TRIES = 3;
/** Who comes late is told why for as long; then nothing listens any more. */
const LINGER_MS = 60_000;

export const inviteMachine = setup({
  types: {
    context: {} as InviteContext,
    events: {} as InviteEvent,
    input: {} as Pick<InviteContext, "untilMs" | "nowMs">,
  },
  delays: { untilExpiry: ({ context: { untilMs, nowMs } }) => Math.max(0, untilMs - nowMs()) },
}).createMachine({
  id: "Invite",
  initial: "open",
  context: ({ input }) => ({ ...input, triesLeft: INVITE_TRIES }),
  states: {
    open: {
      always: { guard: ({ context }) => context.triesLeft === 0, target: "closed" },
      on: {
        Tried: {
          target: "pairing",
          actions: assign(({ context }) => ({ triesLeft: context.triesLeft - 1 })),
        },
        Close: "closed",
      },
      after: { untilExpiry: "expired" },
    },
    pairing: {
      on: {
        WrongCode: {
          target: "open",
          actions: assign(({ event }) => ({ trouble: `a wrong code came from ${event.from}` })),
        },
        CameToNothing: {
          target: "open",
          actions: assign(({ context, event }) => ({ triesLeft: context.triesLeft + 1, trouble: event.why })),
        },
        CameIn: {
          target: "used",
          actions: assign(({ event: { node, name, trouble } }) => ({ joined: { node, name }, trouble })),
        },
        Close: "closed",
      },
    },
    used: { after: { [LINGER_MS]: "over" } },
    expired: { after: { [LINGER_MS]: "over" } },
    closed: { after: { [LINGER_MS]: "over" } },
    over: { type: "final" },
  },
});
