/** The Supervisor holds the models of this machine: it starts, watches, restarts and stops their workers. */
import { type Static, Type as t } from "@sinclair/typebox";
import { Address } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";
import { ProblemBody } from "./problem.ts";
import { ShardFacts } from "./shard.ts";

/** One model as `exo ps` and /v1/models show it. */
export const ModelState = t.Object({
  model: t.String(),
  path: t.String(),
  state: t.Union([t.Literal("loading"), t.Literal("ready"), t.Literal("stopping"), t.Literal("failed")]),
  worker: t.Optional(Address),
  pid: t.Optional(t.Integer()),
  facts: t.Optional(ShardFacts),
  problem: t.Optional(ProblemBody),
  requests: t.Integer(),
  loadedBytes: t.Optional(t.Number()),
  totalBytes: t.Optional(t.Number()),
});
export type ModelState = Static<typeof ModelState>;

/** What the Supervisor accepts; every message that wants an answer is asked. */
export const Supervisor = inbox("Supervisor", {
  /** Answered by `Acquired` once the model is loaded, or by `Refused`. */
  Acquire: { model: t.String() },
  /** Answered by `Stopped` or `Refused`; answers under way end first, unless `now`. */
  Stop: { model: t.String(), now: t.Optional(t.Boolean()) },
  /** Answered by `Models`. */
  List: {},
});
export type SupervisorMessage = InboxMessage<typeof Supervisor>;

/** The Supervisor's answers. */
export const SupervisorReply = inbox("SupervisorReply", {
  Acquired: { model: t.String(), worker: Address, facts: ShardFacts },
  Refused: { problem: ProblemBody },
  Stopped: { model: t.String() },
  Models: { models: t.Array(ModelState) },
});
export type SupervisorReply = InboxMessage<typeof SupervisorReply>;
