/** The Supervisor holds the models of this machine: it starts, watches, restarts and stops their workers. */
import { type Static, Type as t } from "@sinclair/typebox";
import { Backend } from "./collective.ts";
import { Address, NodeId, RequestId } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";
import { HiddenForm } from "./pass.ts";
import { PlacementWish } from "./placement.ts";
import { ProblemBody } from "./problem.ts";
import { LayerRange, ShardFacts } from "./shard.ts";

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
  /** Nobody asked it anything for so long that another model may have its room; of one on several machines only the last stage's says so. */
  idle: t.Optional(t.Boolean()),
  /** Of an idle one that this machine holds by itself: since its last question. */
  idleMs: t.Optional(t.Number({ minimum: 0 })),
  /** Of one whose machines have loaded their parts: why their workers could not meet yet. */
  unmet: t.Optional(t.String()),
  /** These bytes are on their way from another machine's disk; loading comes after. */
  fetching: t.Optional(t.Boolean()),
  /** Of a model that the home placed: which layers are where, or a part of each of them by rank; absent: all on this machine. */
  stages: t.Optional(
    t.Array(
      t.Object({
        node: NodeId,
        name: t.String(),
        layers: LayerRange,
        rank: t.Optional(t.Integer({ minimum: 0 })),
        /** Of a rank: by what it adds up with the others. */
        backend: t.Optional(Backend),
        /** How it sends hidden state on, where not as it computes it. */
        hidden: t.Optional(HiddenForm),
      }),
    ),
  ),
});
export type ModelState = Static<typeof ModelState>;

/** A worker as who asked it lost it. `isOut`: nothing could be heard of it, and it may be well. */
export const LostWorker = t.Object({ worker: Address, isOut: t.Boolean() });
export type LostWorker = Static<typeof LostWorker>;

/** What the Supervisor accepts; every message that wants an answer is asked. */
export const Supervisor = inbox("Supervisor", {
  /**
   * Answered by `Acquired` once the model is loaded, or by `Refused`. `wish`: on these machines of the home. `lost`: a worker that
   * failed whoever asks; another one is meant, or that one again where it was only out of reach (`isOut`). `resumes`: for an answer that was under way; nothing is fetched for it.
   * `question`: its name, for `Withdraw`. `here`: by this machine, where it has room for it, however fast others are.
   */
  Acquire: {
    model: t.String(),
    wish: t.Optional(PlacementWish),
    lost: t.Optional(LostWorker),
    resumes: t.Optional(t.Boolean()),
    question: t.Optional(RequestId),
    here: t.Optional(t.Boolean()),
  },
  /** Whoever asked needs no answer any more; the question is refused at once if it still waits. */
  Withdraw: { question: RequestId },
  /** Answered by `Stopped` or `Refused`; answers under way end first, unless `now`. */
  Stop: { model: t.String(), now: t.Optional(t.Boolean()) },
  /** A model that this machine holds by itself makes room for another, if it is idle still. Answered by `Stopped` or `Refused`. */
  GiveWay: { model: t.String() },
  /** The home holds that model from now on: what this machine holds of it by itself ends once its answers have. Not answered. */
  GiveUp: { model: t.String() },
  /** Answered by `Models`. */
  List: {},
});
export type SupervisorMessage = InboxMessage<typeof Supervisor>;

/** The Supervisor's answers. */
export const SupervisorReply = inbox("SupervisorReply", {
  /** `notes` say which machines take no part, and why. */
  Acquired: { model: t.String(), worker: Address, facts: ShardFacts, notes: t.Optional(t.Array(t.String())) },
  Refused: { problem: ProblemBody },
  Stopped: { model: t.String() },
  Models: { models: t.Array(ModelState) },
});
export type SupervisorReply = InboxMessage<typeof SupervisorReply>;
