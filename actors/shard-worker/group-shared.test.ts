/** A pipeline of which ranks share some stages. Each of them computes all of its stage's layers here, so that bits can be compared. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { AnyMessage } from "#protocol/message";
import type { PassMessage } from "./member.ts";
import type { Carried } from "./memory-group.ts";
import { failureOf, PROMPT, tokensOf, world } from "./tiny-group.ts";

/** Models of several machines take their time on one that does other things too. */
setDefaultTimeout(60_000);

/** Where layers are cut, and how many share each stage. */
const SHARED: readonly (readonly [cuts: readonly number[], ranks: readonly number[]])[] = [
  [[2], [2, 1]],
  [[1], [2, 2]],
  [
    [1, 2],
    [2, 1, 2],
  ],
];

/** Answers with every word of the contract: some at once, a cut, a fork of what was computed before. */
function answers({ ask, run }: ReturnType<typeof world>): readonly (readonly number[])[] {
  const first = ask("first", PROMPT);
  run();
  const together = [ask("again", PROMPT), ask("other", PROMPT.toReversed()), ask("short", [5])];
  run();
  return [first, ...together].map(tokensOf);
}

test("every rank of every stage computes every pass once, and the answers are those of one machine", () => {
  const alone = answers(world(undefined));
  const got = SHARED.map(([cuts, ranks]) => {
    const group = world(cuts, { ranks });
    const said = answers(group);
    const kept = new Set(group.members.map(({ sequences }) => sequences));
    return [said, group.parted.length, kept.size];
  });
  expect(alone.map(({ length }) => length)).toEqual([24, 24, 24, 24]);
  expect(got).toEqual(SHARED.map(() => [alone, 0, 1]));
});

test("hidden state in 8 bits is the same for every rank of the next stage", () => {
  const hidden = "8bit" as const;
  const [row, shared] = [{}, { ranks: [1, 2] }].map((options) => answers(world([2], options, { hidden })));
  expect(shared).toEqual(row ?? []);
});

const isPass = (message: AnyMessage): message is PassMessage => message.type === "ShardWorker.Pass";

test("only the first rank of a stage hands passes on, to each rank of the next, and no hidden state goes to who drives but by it", () => {
  const ways = new Map<string, boolean>();
  const link = (carried: Carried) => {
    if (isPass(carried.message)) ways.set(`${carried.from} to ${carried.to}`, carried.body !== undefined);
    return [carried];
  };
  const group = world([2], { ranks: [2, 2] }, { link });
  group.ask("one", PROMPT);
  group.run();
  expect([...ways].sort()).toEqual([
    ["0 to 2", true],
    ["0 to 3", true],
    ["3 to 0", false],
    ["3 to 1", false],
  ]);
});

test.each([
  ["does not reach one rank of the first stage", 3, 1],
  ["does not reach one rank of the last stage", 0, 2],
  ["does not reach the rank that drives", 0, 3],
])("a pass that %s ends the epoch, and all who may wait for it hear of that", (_, from, to) => {
  const told: string[] = [];
  const way = ({ message, from: by, to: whom }: Carried) => {
    if (message.type === "ShardWorker.PassFailed") told.push(`${by} to ${whom}`);
    const isLost = isPass(message) && message.number === 2 && by === from && whom === to;
    return isLost ? ("gone" as const) : ("taken" as const);
  };
  const group = world([2], { ranks: [2, 2] }, { way });
  const heard = group.ask("one", PROMPT);
  group.run();
  const hearers = new Set(told.map((each) => each.at(-1)));
  const others = [0, 1, 2, 3].filter((place) => place !== from && place !== 3);
  expect([failureOf(heard), group.parted.length, others.filter((each) => !hearers.has(`${each}`))]).toEqual([
    expect.stringContaining(`node-${to}/worker-1 cannot be reached`),
    1,
    [],
  ]);
});
