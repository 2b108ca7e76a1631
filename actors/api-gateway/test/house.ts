/** Requests in flight among workers that say what a test makes them say, with a clock that the test moves. For tests only. */
import type { Clock } from "#actors/runtime/clock";
import { ActorSystem } from "#actors/runtime/system";
import { ApiGateway } from "#protocol/api-gateway";
import { decode, type Envelope, encode } from "#protocol/codec";
import type { Delta, Generation } from "#protocol/generation";
import type { Address, RequestId } from "#protocol/ids";
import { type ProblemBody, problemBody } from "#protocol/problem";
import type { EndKind } from "#protocol/runtime";
import { GenerationReply, type ShardWorkerMessage } from "#protocol/shard-worker";
import { type SupervisorMessage, SupervisorReply } from "#protocol/supervisor";
import { requests } from "../requests.ts";

const facts = {
  architecture: "llama",
  quantisation: "float32",
  layers: 2,
  contextLength: 64,
  vocabularySize: 320,
  weightBytes: 1000,
  loadMs: 1,
};

/** Time that passes when the test says so. */
function movedClock(): Clock & { pass(ms: number): void } {
  let nowMs = 0;
  let ids = 0;
  const timers = new Set<{ readonly atMs: number; readonly run: () => void }>();
  return {
    nowMs: () => nowMs,
    epochSeconds: () => 0,
    freshId: () => `id${ids++}`,
    after(ms, run) {
      const timer = { atMs: nowMs + ms, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    pass(ms) {
      nowMs += ms;
      for (const timer of [...timers]) if (timer.atMs <= nowMs && timers.delete(timer)) timer.run();
    },
  };
}

export const addressOf = (worker: string): Address => `${worker}/shard-worker` as Address;

/** What the Supervisor says when it is asked: a worker's name, or why there is none. */
export type Say = string | ProblemBody;

/**
 * `says`: the Supervisor's answers in order; after them it says nothing. Workers named `closed…` take no message, all others keep
 * what they are sent.
 */
export function house(says: readonly Say[]) {
  const clock = movedClock();
  const system = new ActorSystem("node", clock);
  const [self, boss] = [system.address("api-gateway"), system.address("supervisor")];
  const toSay = [...says];
  const losses: (Address | undefined)[] = [];
  const withdrawn: RequestId[] = [];
  const sent: { readonly worker: string; readonly message: ShardWorkerMessage }[] = [];
  system.spawn<SupervisorMessage>("supervisor", ({ message, reply }) => {
    if (message.type === "Supervisor.Withdraw") return void withdrawn.push(message.question);
    if (message.type === "Supervisor.Acquire") losses.push(message.lost?.worker);
    const next = toSay.shift();
    if (next === undefined) return;
    if (typeof next !== "string") reply(SupervisorReply.Refused({ problem: next }));
    else reply(SupervisorReply.Acquired({ model: "m", worker: addressOf(next), facts }));
  });
  for (const worker of new Set(says.filter((each) => typeof each === "string")))
    system.connect(worker, {
      send: (envelope) => taken(worker, envelope),
      onReceive: () => {},
      onClose: () => {},
      close: () => {},
    });
  const { behaviour, ...face } = requests(system, self, boss);
  system.spawn("api-gateway", behaviour);

  function taken(worker: string, envelope: Envelope): boolean {
    if (worker.startsWith("closed")) return false;
    sent.push({ worker, message: decode(encode(envelope)).message as ShardWorkerMessage });
    return true;
  }

  return {
    ...face,
    clock,
    sent,
    /** The workers that were said to be lost when another was asked for. */
    losses,
    /** Questions to the Supervisor that need no answer any more. */
    withdrawn,
    /** Lets all messages arrive that are on their way. */
    async settle(): Promise<void> {
      for (let turn = 0; turn < 8; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    },
    /** The generations that workers were given, in order. */
    given: (): readonly Generation[] =>
      sent.flatMap(({ message }) => (message.type === "ShardWorker.Generate" ? [message.generation] : [])),
    says: (worker: string, request: string, delta: Delta) =>
      system.send(self, GenerationReply.Delta({ request: request as RequestId, delta }), addressOf(worker)),
    fails: (worker: string, request: string, problem: ProblemBody) =>
      system.send(
        self,
        GenerationReply.Failed({ request: request as RequestId, problem }),
        addressOf(worker),
      ),
    lost: (worker: string, how: EndKind = "crashed") =>
      system.send(self, ApiGateway.WorkerLost({ worker: addressOf(worker), problem: killed, how }), boss),
  };
}

export const killed: ProblemBody = { kind: "unavailable", message: "it was killed" };

export const asked = (more: Partial<Generation> = {}): Generation => ({
  id: "r" as RequestId,
  model: "m",
  prompt: { type: "text", text: "hello" },
  sampling: {},
  stop: [],
  ...more,
});

export const never = new AbortController().signal;

/** What the client heard, and how it ended. */
export function listening(deltas: AsyncIterable<Delta>) {
  const heard: Delta[] = [];
  const ended = (async () => {
    try {
      for await (const delta of deltas) heard.push(delta);
      return "ended";
    } catch (error) {
      return problemBody(error);
    }
  })();
  return { heard, ended };
}

export const started: Delta = { type: "started", promptTokens: [7, 8] };
export const word = (text: string, index: number): Delta => ({
  type: "text",
  text,
  tokens: [100 + index],
  index,
});
export const finish = (completionTokens: number): Delta => ({
  type: "finish",
  reason: "stop",
  usage: { promptTokens: 2, cachedTokens: 0, completionTokens },
  timings: { queueMs: 1, prefillMs: 2, decodeMs: 3 },
});
