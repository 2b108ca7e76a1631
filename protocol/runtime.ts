/** What the ground of two nodes says to each other: who watches whom, and why a question was not taken. No actor sees these. */
import { type Static, Type as t } from "@sinclair/typebox";
import { Address } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";
import { ProblemBody } from "./problem.ts";

/** `stopped`: in order. `crashed`: its behaviour threw. `lost`: its node is out of reach, or it never was there. */
export const EndKind = t.Union([t.Literal("stopped"), t.Literal("crashed"), t.Literal("lost")]);
export type EndKind = Static<typeof EndKind>;

/** Chosen by who watches, and unique among its own. */
const watch = t.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

export const Runtime = inbox(
  "Runtime",
  {
    /**
     * Answered by one `Down` when the actor ends: at once where there is none. With `lane` it is there, and may be watched anew: the link
     * for tensors to it broke, and what was said by that may be lost.
     */
    Watch: { actor: Address, watch },
    Unwatch: { watch },
    Down: {
      actor: Address,
      watch,
      how: EndKind,
      why: t.String({ maxLength: 1024 }),
      lane: t.Optional(t.Literal(true)),
    },
    /** In place of an answer: the question was not taken. */
    Refused: { problem: ProblemBody },
  },
  { kept: ["Down"] },
);
export type RuntimeMessage = InboxMessage<typeof Runtime>;
