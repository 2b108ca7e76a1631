/** Real shard workers of one model on several machines of a test's world: to load, to join and to ask. */
import type { Generation } from "#protocol/generation";
import type { Address, RequestId } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { type GenerationReply, ShardWorker, type ShardWorkerReply } from "#protocol/shard-worker";
import recorded from "../parity/recorded/smollm2.json";
import type { Machine, Worker } from "../runtime/relay-world.ts";

const SMOLLM2 = `${import.meta.dir}/../../.cache/models/smollm2/${recorded.file}`;
const CHILD = `${import.meta.dir}/shard-worker-child.ts`;

export type Reply = ShardWorkerReply | GenerationReply;

/** A worker with who asks it, an actor of its machine. */
export class Part {
  readonly worker: Worker;
  readonly heard: Reply[] = [];
  readonly #machine: Machine;
  readonly #self: Address;
  #waiting: (() => void)[] = [];

  private constructor(machine: Machine, name: string, under: readonly string[]) {
    this.#machine = machine;
    this.#self = machine.system.spawn<Reply & AnyMessage>(`asker-${name}`, ({ message }) => {
      this.heard.push(message);
      for (const look of this.#waiting.splice(0)) look();
    });
    this.worker = machine.worker(name, CHILD, under);
  }

  /** Starts a worker and has it load some layers of SmolLM2, or all. */
  static async loaded(
    machine: Machine,
    name: string,
    more: {
      layers?: { start: number; end: number };
      /** Which of how many ranks. */
      rank?: readonly [rank: number, world: number];
      under?: readonly string[];
      path?: string;
    } = {},
  ): Promise<Part> {
    const { layers, rank, under = [], path = SMOLLM2 } = more;
    const part = new Part(machine, name, under);
    const ranks = rank && { rank: rank[0], world: rank[1] };
    const shard = { model: "tested", path, contextLength: 512, ...(layers && { layers }), ...ranks };
    part.#say(ShardWorker.Load({ shard, replyTo: part.#self }));
    await part.until((reply) => {
      if (reply.type === "ShardWorkerReply.LoadFailed") throw new Error(reply.problem.message);
      return reply.type === "ShardWorkerReply.Loaded" ? true : undefined;
    });
    return part;
  }

  /** All of a group join, in order; `ranks`: so many of them share the layers of each stage. */
  static async join(parts: readonly Part[], epoch: number, ranks?: number[]): Promise<void> {
    const stages = parts.map(({ worker }) => worker.address);
    for (const [stage, part] of parts.entries()) {
      const group = { instance: "tested", epoch, stages, stage, ...(ranks && { ranks }) };
      part.#say(ShardWorker.Join({ group, replyTo: part.#self }));
      await part.until((reply) =>
        reply.type === "ShardWorkerReply.Joined" && reply.epoch === epoch ? true : undefined,
      );
    }
  }

  /** The first thing heard, now or later, of which `found` makes something. */
  async until<R>(found: (reply: Reply) => R | undefined): Promise<R> {
    for (let at = 0; ; ) {
      for (; at < this.heard.length; at++) {
        const reply = this.heard[at];
        const answer = reply && found(reply);
        if (answer !== undefined) return answer;
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The tokens of an answer, or why there is none. */
  async answer(
    id: string,
    prompt: Generation["prompt"],
    more: Partial<Generation> = {},
  ): Promise<readonly number[] | string> {
    const generation = {
      id: id as RequestId,
      model: "tested",
      prompt,
      sampling: { temperature: 0 },
      maxTokens: 40,
      stop: [],
      ...more,
    };
    this.#say(ShardWorker.Generate({ generation, replyTo: this.#self }));
    const tokens: number[] = [];
    return await this.until((reply) => {
      if (!("request" in reply) || reply.request !== id) return undefined;
      if (reply.type === "GenerationReply.Failed") return reply.problem.message;
      if (reply.delta.type === "text") tokens.push(...reply.delta.tokens);
      return reply.delta.type === "finish" ? tokens : undefined;
    });
  }

  #say(message: AnyMessage): void {
    this.#machine.system.send(this.worker.address, message, this.#self);
  }
}
