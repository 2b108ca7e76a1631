/** The whole contract of a ShardWorker. It answers to whoever asked. */
import { Type as t } from "@sinclair/typebox";
import { Delta, Generation } from "./generation.ts";
import { Address, RequestId } from "./ids.ts";
import { type InboxMessage, inbox } from "./message.ts";
import { ProblemBody } from "./problem.ts";
import { Shard, ShardFacts } from "./shard.ts";

/** What a ShardWorker accepts. */
export const ShardWorker = inbox("ShardWorker", {
  Load: { shard: Shard, replyTo: Address },
  Unload: {},
  Generate: { generation: Generation, replyTo: Address },
  Cancel: { request: RequestId },
});
export type ShardWorkerMessage = InboxMessage<typeof ShardWorker>;

/** What a ShardWorker says of its load, to the Supervisor. */
export const ShardWorkerReply = inbox("ShardWorkerReply", {
  Progress: { shard: Shard, loadedBytes: t.Number(), totalBytes: t.Number() },
  Loaded: { shard: Shard, facts: ShardFacts },
  LoadFailed: { shard: Shard, problem: ProblemBody },
});
export type ShardWorkerReply = InboxMessage<typeof ShardWorkerReply>;

/** What a ShardWorker says of one request, to whoever asked for it. */
export const GenerationReply = inbox("GenerationReply", {
  Delta: { request: RequestId, delta: Delta },
  Failed: { request: RequestId, problem: ProblemBody },
});
export type GenerationReply = InboxMessage<typeof GenerationReply>;
