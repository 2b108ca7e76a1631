/** Workers die in the middle of answers: what the client hears, and what the next worker is told. */
import { expect, test } from "bun:test";
import type { Delta } from "#protocol/generation";
import type { ProblemBody } from "#protocol/problem";
import { addressOf, asked, finish, house, listening, never, started, word } from "./test/house.ts";

test("another worker goes on where the lost one was, and the client hears one answer", async () => {
  const { generate, settle, says, lost, given, clock, inFlight, dropped } = house(["w1", "w2"]);
  const { heard, ended } = listening(generate(asked({ maxTokens: 9, promptLogprobs: true }), never));
  await settle();
  clock.pass(10); // waits in the queue
  says("w1", "r", started);
  await settle();
  clock.pass(20); // its prompt is computed
  says("w1", "r", word("a", 0));
  says("w1", "r", word("é", 1));
  await settle();
  clock.pass(30); // its answer
  lost("w1");
  await settle();
  clock.pass(40);
  says("w2", "r~2", started);
  says("w2", "r~2", word("c", 2));
  says("w2", "r~2", finish(3));
  const [first, second] = (await ended) === "ended" ? given() : [];
  expect({ heard, first, second, inFlight: inFlight(), dropped: dropped() }).toEqual({
    heard: [
      started,
      word("a", 0),
      word("é", 1),
      word("c", 2),
      { ...finish(3), timings: { queueMs: 11, prefillMs: 22, decodeMs: 33 } } as Delta,
    ],
    first: asked({ maxTokens: 9, promptLogprobs: true, sampling: { seed: expect.any(Number) } }),
    second: asked({
      id: "r~2" as never,
      maxTokens: 9,
      prompt: { type: "tokens", tokens: [7, 8] },
      sampling: first?.sampling ?? {},
      resume: { tokens: [100, 101], textLength: 2 },
    }),
    inFlight: 0,
    dropped: 0,
  });
});

test("a request that nobody had begun is given on as it came, with the seed that its client chose", async () => {
  const { generate, settle, says, lost, given } = house(["w1", "w2"]);
  const { ended } = listening(generate(asked({ sampling: { seed: 5 } }), never));
  await settle();
  lost("w1");
  await settle();
  says("w2", "r~2", started);
  says("w2", "r~2", finish(0));
  expect({ said: await ended, given: given() }).toEqual({
    said: "ended",
    given: [asked({ sampling: { seed: 5 } }), asked({ id: "r~2" as never, sampling: { seed: 5 } })],
  });
});

test("what is not next never reaches the client: late words, doubles, and what follows a hole", async () => {
  const { generate, settle, says, lost, sent, given, dropped } = house(["w1", "w2", "w2"]);
  const { heard, ended } = listening(generate(asked(), never));
  await settle();
  for (const delta of [started, word("a", 0)]) says("w1", "r", delta);
  lost("w1");
  await settle();
  says("w1", "r", word("b", 1));
  for (const delta of [started, word("a", 0), word("b", 1), word("d", 3)]) says("w2", "r~2", delta);
  await settle();
  for (const delta of [started, word("c", 2)]) says("w2", "r~3", delta);
  says("w2", "r~3", finish(3));
  expect({
    said: await ended,
    heard: heard.map((delta) => (delta.type === "text" ? delta.text : delta.type)),
    dropped: dropped(),
    cancelled: sent.flatMap(({ message }) =>
      message.type === "ShardWorker.Cancel" ? [message.request] : [],
    ),
    resumed: given().map(({ resume }) => resume?.tokens),
  }).toEqual({
    said: "ended",
    heard: ["started", "a", "b", "c", "finish"],
    dropped: 3,
    cancelled: ["r~2" as never],
    resumed: [undefined, [100], [100, 101]],
  });
});

test("T27: a worker that has not this try of an answer neither says words of it nor ends it", async () => {
  const { generate, settle, says, fails, lost, dropped } = house(["w1", "w2"]);
  const { heard, ended } = listening(generate(asked(), never));
  await settle();
  for (const delta of [started, word("a", 0)]) says("w1", "r", delta);
  lost("w1");
  await settle();
  says("w1", "r~2", word("lie", 1));
  fails("w1", "r~2", { kind: "invalid", message: "a lie" });
  for (const delta of [started, word("b", 1), finish(2)]) says("w2", "r~2", delta);
  expect({
    said: await ended,
    heard: heard.map((delta) => (delta.type === "text" ? delta.text : delta.type)),
    dropped: dropped(),
  }).toEqual({ said: "ended", heard: ["started", "a", "b", "finish"], dropped: 1 });
});

test("an answer whose last words were lost on the way is not told as whole", async () => {
  const { generate, settle, says, given } = house(["w1", "w1"]);
  const { heard } = listening(generate(asked(), never));
  await settle();
  for (const delta of [started, word("a", 0), finish(2)]) says("w1", "r", delta);
  await settle();
  expect([heard.length, given().at(-1)?.resume]).toEqual([2, { tokens: [100], textLength: 1 }]);
});

test("three workers lost in one answer are enough", async () => {
  const { generate, settle, says, lost, inFlight } = house(["w1", "w2", "w3", "w4"]);
  const { heard, ended } = listening(generate(asked(), never));
  for (const [i, worker] of ["w1", "w2", "w3"].entries()) {
    await settle();
    const id = i === 0 ? "r" : `r~${i + 1}`;
    says(worker, id, started);
    says(worker, id, word("x", i));
    lost(worker);
  }
  expect({ said: await ended, deltas: heard.length, inFlight: inFlight() }).toEqual({
    said: {
      kind: "unavailable",
      message:
        "the answer was cut off after token 3, and after 3 workers none goes on with it: it was killed",
      remedy: "send the request again",
    },
    deltas: 4,
    inFlight: 0,
  });
});

/** The first worker is lost after one word, and the second has begun. */
async function secondBegun() {
  const all = house(["w1", "w2", "w3"]);
  const { generate, settle, says, lost } = all;
  const { ended } = listening(generate(asked(), never));
  await settle();
  for (const delta of [started, word("x", 0)]) says("w1", "r", delta);
  lost("w1");
  await settle();
  says("w2", "r~2", started);
  return { ...all, ended };
}

test("a request of which two workers die at the same token is given to no third", async () => {
  const { lost, ended } = await secondBegun();
  lost("w2");
  expect(await ended).toEqual({
    kind: "cancelled",
    message: "two workers ended one after the other at token 2 of this answer, the last so: it was killed",
    remedy: "the request may be what ends them: change it before it is sent again",
  });
});

test("workers that are out of reach, or are placed anew, do not make a request one that ends workers", async () => {
  const { settle, says, lost, ended } = await secondBegun();
  lost("w2", "lost");
  await settle();
  for (const delta of [started, finish(1)]) says("w3", "r~3", delta);
  expect(await ended).toBe("ended");
});

test("a worker that gives a request back because its model is elsewhere now may be asked again", async () => {
  const { generate, settle, says, fails } = house(["w1", "w1"]);
  const { heard, ended } = listening(generate(asked(), never));
  await settle();
  for (const delta of [started, word("a", 0)]) says("w1", "r", delta);
  fails("w1", "r", { kind: "unavailable", message: "a stage is gone" });
  await settle();
  for (const delta of [started, word("b", 1), finish(2)]) says("w1", "r~2", delta);
  expect([await ended, heard.length]).toEqual(["ended", 4]);
});

test("a worker that has too much to do to go on with an answer is asked again, and that is no attempt", async () => {
  const { generate, settle, says, fails, lost, clock, given } = house(["w1", "w2", "w2", "w2", "w2"]);
  const { ended } = listening(generate(asked(), never));
  await settle();
  for (const delta of [started, word("a", 0)]) says("w1", "r", delta);
  lost("w1");
  for (const [i, ms] of [100, 200, 400].entries()) {
    await settle();
    fails("w2", `r~${i + 2}`, { kind: "overloaded", message: "72 requests are there" });
    await settle();
    clock.pass(ms);
  }
  await settle();
  for (const delta of [started, finish(1)]) says("w2", "r~5", delta);
  expect([await ended, given().length]).toEqual(["ended", 5]);
});

test("a worker that was out of reach, and goes on with the answer, ends its try before", async () => {
  const { generate, settle, says, lost, sent } = house(["w1", "w1"]);
  const { ended } = listening(generate(asked(), never));
  await settle();
  for (const delta of [started, word("a", 0)]) says("w1", "r", delta);
  lost("w1", "lost");
  await settle();
  for (const delta of [started, word("b", 1), finish(2)]) says("w1", "r~2", delta);
  const told = sent.map(({ message }) =>
    message.type === "ShardWorker.Cancel" ? `cancel ${message.request}` : message.type,
  );
  expect([await ended, told]).toEqual([
    "ended",
    ["ShardWorker.Generate", "cancel r", "ShardWorker.Generate"],
  ]);
});

test("a failure of the request itself is not tried elsewhere", async () => {
  const { generate, settle, fails, given } = house(["w1", "w2"]);
  const { ended } = listening(generate(asked(), never));
  await settle();
  const problem: ProblemBody = { kind: "internal", message: "numbers went bad" };
  fails("w1", "r", problem);
  expect([await ended, given().length]).toEqual([problem, 1]);
});

test("it is asked again, and told which worker is dead, until there is a living one", async () => {
  const { generate, settle, says, lost, clock, given, losses } = house([
    "w1",
    "closed1",
    { kind: "unavailable", message: "nobody leads" },
    "closed2",
    "w2",
  ]);
  const { ended } = listening(generate(asked(), never));
  await settle();
  says("w1", "r", started);
  lost("w1");
  for (const ms of [100, 200, 400]) {
    await settle();
    clock.pass(ms);
  }
  await settle();
  const id = given().at(-1)?.id ?? "";
  says("w2", id, started);
  says("w2", id, finish(0));
  const dead = ["w1", "closed1", "closed1", "closed2"].map(addressOf);
  expect([await ended, given().length, losses]).toEqual(["ended", 2, [undefined, ...dead]]);
});

test("it is asked in vain for a minute, then the client is told", async () => {
  const { generate, settle, clock } = house(Array.from({ length: 100 }, () => "closed"));
  const { ended } = listening(generate(asked(), never));
  for (let seconds = 0; seconds < 62; seconds += 2) {
    await settle();
    clock.pass(2_000);
  }
  expect(await ended).toEqual({
    kind: "unavailable",
    message: "the worker closed/shard-worker went away before it took the request",
    remedy: "send the request again",
  });
});

test("a model that fits nowhere any more ends the answer with the reason", async () => {
  const { generate, settle, says, lost } = house([
    "w1",
    { kind: "doesNotFit", message: "m takes 8 GB and 4 GB are left", remedy: "add memory" },
  ]);
  const { ended } = listening(generate(asked(), never));
  await settle();
  for (const delta of [started, word("a", 0)]) says("w1", "r", delta);
  lost("w1");
  expect(await ended).toEqual({
    kind: "doesNotFit",
    message:
      "the answer was cut off after token 1, and no other worker goes on with it: m takes 8 GB and 4 GB are left",
    remedy: "add memory",
  });
});

test("a client that leaves while another worker is looked for leaves nothing behind", async () => {
  const { generate, settle, says, lost, clock, sent, inFlight } = house([
    "w1",
    { kind: "unavailable", message: "nobody leads" },
    "w2",
  ]);
  const leaving = new AbortController();
  const { ended } = listening(generate(asked(), leaving.signal));
  await settle();
  says("w1", "r", started);
  lost("w1");
  await settle();
  leaving.abort();
  clock.pass(10_000);
  await settle();
  expect([await ended, sent.map(({ worker }) => worker), inFlight()]).toEqual(["ended", ["w1"], 0]);
});
