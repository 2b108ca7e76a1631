/** The whole contract of a ShardWorker. It answers to whoever asked. */
import { Type as t } from "@sinclair/typebox";
import { Delta, Generation } from "./generation.ts";
import { Address, RequestId } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";
import { Pass } from "./pass.ts";
import { ProblemBody } from "./problem.ts";
import { Group, Shard, ShardFacts } from "./shard.ts";
import { Pace } from "./speeds.ts";

const instance = Group.properties.instance;
const epoch = Group.properties.epoch;

/** What a ShardWorker accepts. */
export const ShardWorker = inbox(
  "ShardWorker",
  {
    Load: { shard: Shard, replyTo: Address },
    Unload: {},
    /** Times a few steps of the layers held, for planning; answered by `Measured` or `MeasureFailed` within two seconds. */
    Measure: { replyTo: Address },
    /** With whom it computes from now on. A newer epoch ends all requests and sequences of the one before. */
    Join: { group: Group, replyTo: Address },
    Generate: { generation: Generation, replyTo: Address },
    Cancel: { request: RequestId },
    /** Between the stages of a group, in order, over the data lane; its body is the hidden state. See pass.ts. */
    Pass: Pass.properties,
    /** Between the ranks of a group, within a pass: its body is a part of what all of them add up or put together, in order from 0. */
    Share: { instance, epoch, number: t.Integer({ minimum: 0 }) },
    /**
     * To the last stage, and to all ranks: a pass was refused, computed by nobody further on, and the epoch cannot go on. With `lane`: the link for
     * tensors between two stages broke, which costs the passes under way and nothing else.
     */
    PassFailed: {
      instance,
      epoch,
      number: t.Integer({ minimum: 0 }),
      problem: ProblemBody,
      lane: t.Optional(t.Literal(true)),
    },
  },
  { bulk: ["Pass", "Share"], kept: ["PassFailed"] },
);
export type ShardWorkerMessage = InboxMessage<typeof ShardWorker>;

/** What a ShardWorker says of its load and its group, to the Supervisor. */
export const ShardWorkerReply = inbox("ShardWorkerReply", {
  Progress: { shard: Shard, loadedBytes: t.Number(), totalBytes: t.Number() },
  Loaded: { shard: Shard, facts: ShardFacts },
  LoadFailed: { shard: Shard, problem: ProblemBody },
  Joined: { instance, epoch },
  JoinFailed: { instance, epoch, problem: ProblemBody },
  /** From the last stage, to who had it join: this epoch is over, its requests were told; only a Join with a newer one helps. */
  Parted: { instance, epoch, problem: ProblemBody },
  /** Asked for by `Measure`, or unasked after answers: how long their steps took. */
  Measured: { shard: Shard, pace: Pace },
  MeasureFailed: { shard: Shard, problem: ProblemBody },
});
export type ShardWorkerReply = InboxMessage<typeof ShardWorkerReply>;

/** What a ShardWorker says of one request, to whoever asked for it. */
export const GenerationReply = inbox("GenerationReply", {
  Delta: { request: RequestId, delta: Delta },
  Failed: { request: RequestId, problem: ProblemBody },
});
export type GenerationReply = InboxMessage<typeof GenerationReply>;
