/** SmolLM2 over two machines: real workers in processes of their own, real TLS between their machines. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Address, RequestId } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { type GenerationReply, ShardWorker, type ShardWorkerReply } from "#protocol/shard-worker";
import recorded from "../parity/recorded/smollm2.json";
import { type Machine, World } from "../runtime/relay-world.ts";

const SLOWEST_MS = 120_000;
const path = `${import.meta.dir}/../../.cache/models/smollm2/${recorded.file}`;
const CHILD = `${import.meta.dir}/shard-worker-child.ts`;
const QUESTION = "What is the capital of France?";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

type Replies = typeof ShardWorkerReply & typeof GenerationReply;
type Reply = ReturnType<Replies[keyof Replies]>;

/** Who asks the workers of one machine, and hears them. */
function asker(machine: Machine) {
  const heard: Reply[] = [];
  const waiting: (() => void)[] = [];
  const self = machine.system.spawn<Reply & AnyMessage>("asker", ({ message }) => {
    heard.push(message);
    for (const look of waiting.splice(0)) look();
  });
  const until = async <R>(found: (reply: Reply) => R | undefined): Promise<R> => {
    for (;;) {
      for (const reply of heard) {
        const answer = found(reply);
        if (answer !== undefined) return answer;
      }
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  const say = (to: Address, message: AnyMessage) => machine.system.send(to, message, self);
  return { self, heard, until, say };
}

async function loaded(machine: Machine, name: string, start: number, end: number) {
  const by = asker(machine);
  const worker = machine.worker(name, CHILD);
  const shard = {
    model: "smollm2",
    path,
    contextLength: 512,
    ...(end - start < 30 && { layers: { start, end } }),
  };
  by.say(worker.address, ShardWorker.Load({ shard, replyTo: by.self }));
  await by.until((reply) => {
    if (reply.type === "ShardWorkerReply.LoadFailed") throw new Error(reply.problem.message);
    return reply.type === "ShardWorkerReply.Loaded" ? true : undefined;
  });
  return { by, worker };
}

type Part = Awaited<ReturnType<typeof loaded>>;

/** All of a group join, in order. */
async function join(parts: readonly Part[], epoch: number): Promise<void> {
  const stages = parts.map(({ worker }) => worker.address);
  for (const [stage, { by, worker }] of parts.entries()) {
    const group = { instance: "smollm2", epoch, stages, stage };
    by.say(worker.address, ShardWorker.Join({ group, replyTo: by.self }));
    await by.until((reply) =>
      reply.type === "ShardWorkerReply.Joined" && reply.epoch === epoch ? true : undefined,
    );
  }
}

/** The tokens of an answer, or why there is none. */
async function answer({ by, worker }: Part, id: string): Promise<readonly number[] | string> {
  const generation = {
    id: id as RequestId,
    model: "smollm2",
    prompt: { type: "messages" as const, messages: [{ role: "user" as const, content: QUESTION }] },
    sampling: { temperature: 0 },
    maxTokens: 40,
    stop: [],
  };
  by.say(worker.address, ShardWorker.Generate({ generation, replyTo: by.self }));
  return await by.until((reply) => {
    if (reply.type === "GenerationReply.Failed" && reply.request === id) return reply.problem.message;
    if (reply.type !== "GenerationReply.Delta" || reply.request !== id || reply.delta.type !== "finish")
      return;
    return by.heard.flatMap((each) =>
      each.type === "GenerationReply.Delta" && each.request === id && each.delta.type === "text"
        ? each.delta.tokens
        : [],
    );
  });
}

test(
  "two machines answer as one does, in one epoch and the next, and say when one of them is lost",
  async () => {
    const [a, b] = await world.two();
    const alone = await answer(await loaded(await world.machine(), "worker-whole", 0, 30), "alone");
    const first = await loaded(a, "worker-first", 0, 17);
    const last = await loaded(b, "worker-last", 17, 30);
    await join([first, last], 5);
    const together = await answer(last, "together");
    await join([first, last], 6);
    const again = await answer(last, "again");
    const waiting = answer(last, "cut off");
    first.worker.signal("SIGKILL");
    const parted = last.by.until((reply) =>
      reply.type === "ShardWorkerReply.Parted" ? reply.epoch : undefined,
    );
    expect([together, again, await parted, typeof (await waiting)]).toEqual([alone, alone, 6, "string"]);
  },
  SLOWEST_MS,
);
