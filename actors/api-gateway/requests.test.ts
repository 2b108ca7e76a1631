import { expect, test } from "bun:test";
import { systemClock } from "#actors/runtime/clock";
import { ActorSystem } from "#actors/runtime/system";
import { ApiGateway } from "#protocol/api-gateway";
import { decode, encode } from "#protocol/codec";
import type { Generation } from "#protocol/generation";
import type { Address, RequestId } from "#protocol/ids";
import { problemBody } from "#protocol/problem";
import { SupervisorReply } from "#protocol/supervisor";
import { requests } from "./requests.ts";

const worker = "worker/shard-worker" as Address;
const facts = {
  architecture: "llama",
  quantisation: "float32",
  layers: 2,
  contextLength: 64,
  vocabularySize: 320,
  weightBytes: 1000,
  loadMs: 1,
};

/** A gateway whose one worker is the far end of `link`; every frame it is sent is noted. */
function house(link: "open" | "closed" = "open") {
  const system = new ActorSystem("node", systemClock);
  const [self, boss] = [system.address("api-gateway"), system.address("supervisor")];
  const given = Promise.withResolvers<void>();
  const sent: string[] = [];
  system.spawn("supervisor", ({ reply }) => reply(SupervisorReply.Acquired({ model: "m", worker, facts })));
  system.connect("worker", {
    send(envelope) {
      if (link === "closed") return false;
      sent.push(decode(encode(envelope)).message.type);
      given.resolve();
      return true;
    },
    onReceive: () => {},
    onClose: () => {},
    close: () => {},
  });
  const { behaviour, generate, inFlight } = requests(system, self, boss);
  system.spawn("api-gateway", behaviour);
  const lost = () =>
    system.send(
      self,
      ApiGateway.WorkerLost({ worker, problem: { kind: "unavailable", message: "it was killed" } }),
      boss,
    );
  return { generate, inFlight, sent, given: given.promise, lost };
}

const generation = (text: string): Generation => ({
  id: "r" as RequestId,
  model: "m",
  prompt: { type: "text", text },
  sampling: {},
  stop: [],
});

const outcome = async (deltas: AsyncIterable<unknown>) => {
  try {
    for await (const delta of deltas) return delta;
    return "ended";
  } catch (error) {
    return problemBody(error);
  }
};

const never = new AbortController().signal;

test("a request that no frame can hold is refused, and the worker hears nothing of it", async () => {
  const { generate, sent, inFlight } = house();
  const said = await outcome(generate(generation("x".repeat(17 * 1024 * 1024)), never));
  expect({ said, sent, inFlight: inFlight() }).toEqual({
    said: {
      kind: "tooLarge",
      message: expect.stringMatching(/^the request cannot be sent to its worker: .* over the frame limit$/),
      remedy: "shorten the prompt, its stop strings or its other options",
    },
    sent: [],
    inFlight: 0,
  });
});

test("a worker that goes before it takes the request fails it", async () => {
  const { generate, inFlight } = house("closed");
  const said = await outcome(generate(generation("hello"), never));
  expect({ said, inFlight: inFlight() }).toEqual({
    said: {
      kind: "unavailable",
      message: `the worker ${worker} went away before it took the request`,
      remedy: "send the request again",
    },
    inFlight: 0,
  });
});

test("a worker that is lost fails what it held", async () => {
  const { generate, given, lost, inFlight } = house();
  const said = outcome(generate(generation("hello"), never));
  await given;
  lost();
  expect({ said: await said, inFlight: inFlight() }).toEqual({
    said: { kind: "unavailable", message: "it was killed" },
    inFlight: 0,
  });
});

test("a client that leaves cancels its request at the worker", async () => {
  const { generate, given, sent, inFlight } = house();
  const leaving = new AbortController();
  const said = outcome(generate(generation("hello"), leaving.signal));
  await given;
  leaving.abort();
  expect({ said: await said, sent, inFlight: inFlight() }).toEqual({
    said: "ended",
    sent: ["ShardWorker.Generate", "ShardWorker.Cancel"],
    inFlight: 0,
  });
});
