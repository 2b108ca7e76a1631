/** How good answers are, as far as a number can say it. */
import { type Static, Type as t } from "@sinclair/typebox";
import type { Frozen } from "./frozen.ts";

export const CHECK_KINDS = ["perplexity", "answers", "tools"] as const;
export type CheckKind = (typeof CHECK_KINDS)[number];

export const Quality = t.Object({
  scenario: t.String(),
  model: t.String(),
  check: t.Union(CHECK_KINDS.map((kind) => t.Literal(kind))),
  value: t.Number({ description: "perplexity, or the share of answers or tool calls that are right" }),
  count: t.Integer({ description: "tokens of the text, or questions" }),
  wrong: t.Optional(t.Array(t.String(), { description: "questions answered wrong" })),
});
export type Quality = Frozen<Static<typeof Quality>>;
