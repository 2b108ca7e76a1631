/** What goes wrong between stages costs as little as it can, and never a wrong token. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { Address } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import type { SequenceOperation } from "#protocol/pass";
import { problemBody } from "#protocol/problem";
import type { PassMessage } from "./member.ts";
import type { Carried } from "./memory-group.ts";
import { failureOf, OVER, PROMPT, tokensOf, world } from "./tiny-group.ts";

/** Models of several machines take their time on one that does other things too. */
setDefaultTimeout(60_000);

const passOf = ({ message }: Carried): PassMessage | undefined =>
  message.type === "ShardWorker.Pass" ? (message as PassMessage) : undefined;

const alone = world(undefined);
const WANTED = (() => {
  const heard = [alone.ask("a", PROMPT), alone.ask("b", PROMPT.toReversed())];
  alone.run();
  return heard.map(tokensOf);
})();

test("a pass that arrives twice is computed once", () => {
  const { ask, run, parted } = world([1, 3], {}, { link: (carried) => [carried, carried] });
  const heard = [ask("a", PROMPT), ask("b", PROMPT.toReversed())];
  run();
  expect([heard.map(tokensOf), parted]).toEqual([WANTED, []]);
});

test.each([0, 1, 2])(
  "a pass that is lost on its way to stage %d ends the epoch when the next one comes",
  (stage) => {
    const link = (carried: Carried) =>
      carried.to === stage && passOf(carried)?.number === 9 ? [] : [carried];
    const { ask, run, parted, engine } = world([1, 3], {}, { link });
    const heard = [ask("a", PROMPT), ask("b", PROMPT.toReversed())];
    run();
    const why = "pass 10 of model was refused: pass 9 is due, and a pass in between was lost";
    const good = heard.map((each, i) =>
      Bun.deepEquals(tokensOf(each), WANTED[i]?.slice(0, tokensOf(each).length)),
    );
    expect([heard.map(failureOf), good, parted.map(problemBody), engine.load]).toEqual([
      [why, why],
      [true, true],
      [{ kind: "unavailable", message: why }],
      { active: 0, queued: 0, prefixBytes: 0 },
    ]);
  },
);

test("a pass that never comes back ends the epoch after a while", () => {
  const waiting: { ms: number; run: () => void }[] = [];
  const after = (ms: number, run: () => void) => {
    const timer = { ms, run };
    waiting.push(timer);
    return () => void waiting.splice(waiting.indexOf(timer) >>> 0, 1);
  };
  const link = (carried: Carried) => (passOf(carried)?.number === 5 ? [] : [carried]);
  const { ask, run, parted } = world([2], {}, { link, after });
  const heard = ask("a", PROMPT);
  run();
  const before = [failureOf(heard), waiting.map(({ ms }) => ms)];
  for (const timer of [...waiting]) timer.run();
  expect([before, failureOf(heard), parted.length, waiting]).toEqual([
    [undefined, [10_000]],
    "model: none of 1 passes came back from 2 machines in 10 s",
    1,
    [],
  ]);
});

test("what is of another epoch, of a stranger or of nobody's number is not computed", () => {
  const sent: Carried[] = [];
  const link = (carried: Carried) => {
    sent.push(carried);
    return [carried];
  };
  const group = world([2], {}, { link, epoch: 7 });
  const heard = group.ask("a", PROMPT);
  for (let i = 0; i < 6; i++) group.step();
  const [first] = group.members;
  const genuine = sent.map(passOf).find((pass) => pass !== undefined);
  if (!first || !genuine) throw new Error("no pass was sent");
  const last = "node-1/worker-1" as Address;
  const old = { ...genuine, epoch: 6, number: 50 };
  first.arrived({ pass: old, from: last, body: undefined });
  first.arrived({ pass: { ...genuine, number: 50 }, from: "x/worker" as Address, body: undefined });
  group.run();
  const refusals = sent
    .filter(({ message }) => message.type === "ShardWorker.PassFailed")
    .map(({ message }) => message);
  expect<readonly unknown[]>([tokensOf(heard), group.parted, refusals]).toEqual([
    WANTED[0],
    [],
    [
      {
        type: "ShardWorker.PassFailed",
        instance: "model",
        epoch: 6,
        number: 50,
        problem: {
          kind: "unavailable",
          message: "pass 50 of model was refused: it is of epoch 6, and this is epoch 7",
        },
      },
    ],
  ]);
});

test("passes of strangers are not kept, however many, and those of the group go on", () => {
  const sent: Carried[] = [];
  const link = (carried: Carried) => {
    sent.push(carried);
    return [carried];
  };
  const { ask, run, members, parted } = world([2], {}, { link });
  const heard = ask("a", PROMPT);
  const [first] = members;
  members[1]?.turn();
  const pass = sent.map(passOf).find((each) => each !== undefined);
  if (!first || !pass) throw new Error("no pass was sent");
  const idle = first.idle;
  for (let number = 0; number < 1000; number++)
    first.arrived({
      pass: { ...pass, number },
      from: "x/worker-1" as Address,
      body: new Uint8Array(1024),
    });
  const kept = !first.idle;
  run();
  expect([idle, kept, tokensOf(heard), parted]).toEqual([true, false, WANTED[0] ?? [], []]);
});

test("a machine that sends more passes than there can be under way ends the epoch", () => {
  const { members, parted, step } = world([2]);
  const number = (each: number) => ({
    instance: "model",
    epoch: 1,
    number: each,
    ops: [],
    feeds: [],
    wanted: "hidden" as const,
    type: "ShardWorker.Pass" as const,
  });
  for (let each = 0; each < 5; each++)
    members[0]?.arrived({ pass: number(each), from: "node-1/worker-1" as Address, body: undefined });
  step();
  step();
  expect(parted.map(({ message }) => message)).toEqual([
    "pass 4 of model was refused: 4 others wait already, and no more are ever under way",
  ]);
});

test("T32 hidden state that is no number costs its own request", () => {
  const spoilt = (carried: Carried): Carried => {
    const { body } = carried;
    if (!body || passOf(carried)?.feeds.length !== 1) return carried;
    const values = new Float32Array(body.slice().buffer);
    if (values.length === 32) values[3] = Number.NaN;
    return { ...carried, body: new Uint8Array(values.buffer) };
  };
  let passes = 0;
  const link = (carried: Carried) => [carried.to === 1 && passes++ === 12 ? spoilt(carried) : carried];
  const { ask, run, parted } = world([2], {}, { link });
  const heard = [ask("a", PROMPT), ask("b", PROMPT.toReversed())];
  run();
  const failed = heard.map(failureOf).filter((why) => why !== undefined);
  const whole = heard.filter((each, i) => Bun.deepEquals(tokensOf(each), WANTED[i]));
  expect([failed, whole.length, parted]).toEqual([["the layers before computed no numbers"], 1, []]);
});

test("T32 a body of another size ends the epoch, for then stages are not of one mind", () => {
  const link = (carried: Carried) => [
    carried.body ? { ...carried, body: carried.body.subarray(4) } : carried,
  ];
  const { ask, run, parted } = world([2], {}, { link });
  const heard = ask("a", PROMPT);
  run();
  expect([failureOf(heard), parted.length]).toEqual([
    "pass 0 of model was refused: a pass makes no sense: 89 rows take 11392 bytes, and 11388 were sent",
    1,
  ]);
});

test("a group that came apart is idle, so that its workers give memory back", () => {
  const link = (carried: Carried) => (passOf(carried)?.number === 5 ? [] : [carried]);
  const { ask, run, members } = world([2], {}, { link });
  ask("a", PROMPT);
  run();
  const before = members.map(({ idle }) => idle);
  for (const member of members) member.leave(OVER);
  expect([before, members.map(({ idle }) => idle)]).toEqual([
    [true, false],
    [true, true],
  ]);
});

test.each([
  ["a copy of itself", { type: "fork", from: 1, sequence: 1, length: 3 }, "sequence 1 is to begin as itself"],
  ["a copy of what it does not hold", { type: "fork", from: 2, sequence: 3, length: 3 }, undefined],
] satisfies [string, SequenceOperation, string | undefined][])(
  "an operation of a pass that asks for %s costs no worker",
  (_, op, why) => {
    let passes = 0;
    const link = (carried: Carried) => {
      const pass = passOf(carried);
      if (!pass || carried.to !== 0 || passes++ !== 4) return [carried];
      return [{ ...carried, message: { ...pass, ops: [op] } as PassMessage }];
    };
    const { ask, run, parted } = world([2], { limits: { prefillChunk: 16 } }, { link });
    const heard = [ask("a", PROMPT), ask("b", PROMPT.toReversed())];
    run();
    const failure = why && `pass 4 of model was refused: a pass makes no sense: ${why}`;
    expect([heard.map(failureOf), parted.map(({ message }) => message)]).toEqual([
      [failure, failure],
      failure ? [failure] : [],
    ]);
  },
);

test("hidden state that no link can carry ends the epoch with a word, and not the worker", () => {
  const link = (carried: Carried) => {
    if (carried.body) throw new ProtocolError("a body of 11392 bytes is over the limit of its link");
    return [carried];
  };
  const { ask, run, parted } = world([2], {}, { link });
  const heard = ask("a", PROMPT);
  run();
  const why = "pass 0 of model was refused: a body of 11392 bytes is over the limit of its link";
  expect([failureOf(heard), parted.map(({ message }) => message)]).toEqual([why, [why]]);
});

test.each([0, 1, 2])("stage %d without room fails the request that needs it, and no other", (stage) => {
  let free = 1e9;
  const freeBytes = [0, 1, 2].map((each) => () => (each === stage ? free : 1e9));
  const { ask, run, step, parted } = world([1, 3], { freeBytes });
  const long = ask("long", PROMPT, { maxTokens: 200 });
  const short = ask("b", PROMPT.toReversed());
  for (let i = 0; i < 30; i++) step();
  free = 100e6;
  run();
  const why = failureOf(long)?.slice(0, "256 more tokens of context".length);
  expect([why, tokensOf(short), parted]).toEqual(["256 more tokens of context", WANTED[1] ?? [], []]);
});

test("what is kept for requests to come is given up first, on every stage", () => {
  let full = false;
  const group = world([2], {
    freeBytes: [() => (full && (group.members[0]?.sequences ?? 0) > 1 ? 0 : 1e9)],
  });
  const first = group.ask("first", PROMPT);
  group.run();
  full = true;
  const second = group.ask("second", [7, ...PROMPT], { maxTokens: 200 });
  group.run();
  expect([tokensOf(first), failureOf(second), tokensOf(second).length]).toEqual([WANTED[0], undefined, 200]);
});
