import { expect, test } from "bun:test";
import { asked, house, killed, listening, never } from "./test/house.ts";

test("a request that no frame can hold is refused, and the worker hears nothing of it", async () => {
  const { generate, sent, inFlight } = house(["w1"]);
  const { ended } = listening(
    generate(asked({ prompt: { type: "text", text: "x".repeat(17 * 1024 * 1024) } }), never),
  );
  expect({ said: await ended, sent, inFlight: inFlight() }).toEqual({
    said: {
      kind: "tooLarge",
      message: expect.stringMatching(/^the request cannot be sent to its worker: .* over the frame limit$/),
      remedy: "shorten the prompt, its stop strings or its other options",
    },
    sent: [],
    inFlight: 0,
  });
});

test("a client that leaves before there is a worker withdraws its question", async () => {
  const { generate, settle, withdrawn, inFlight } = house([]);
  const leaving = new AbortController();
  const { ended } = listening(generate(asked(), leaving.signal));
  await settle();
  leaving.abort();
  await settle();
  expect([await ended, withdrawn, inFlight()]).toEqual(["ended", ["r" as never], 0]);
});

test("a worker that is stopped because somebody wants it fails what it held", async () => {
  const { generate, settle, lost, inFlight } = house(["w1", "w2"]);
  const { ended } = listening(generate(asked(), never));
  await settle();
  lost("w1", "stopped");
  expect({ said: await ended, inFlight: inFlight() }).toEqual({ said: killed, inFlight: 0 });
});

test("a client that leaves cancels its request at the worker", async () => {
  const { generate, settle, sent, inFlight } = house(["w1"]);
  const leaving = new AbortController();
  const { ended } = listening(generate(asked(), leaving.signal));
  await settle();
  leaving.abort();
  expect({ said: await ended, sent: sent.map(({ message }) => message.type), inFlight: inFlight() }).toEqual({
    said: "ended",
    sent: ["ShardWorker.Generate", "ShardWorker.Cancel"],
    inFlight: 0,
  });
});
