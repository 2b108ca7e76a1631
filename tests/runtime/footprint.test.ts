/** When a process that waits gives memory back, on virtual time. */
import { expect, test } from "bun:test";
import { keepSmall } from "#actors/runtime/machine/footprint";
import { seeded } from "../sim/random.ts";
import { VirtualTime } from "../sim/time.ts";

/** A process that holds `needed` megabytes, and `over` of which it needs none. */
function waiting() {
  const time = new VirtualTime();
  const process = { needed: 70, over: 15, busy: false, givenBackAtS: [] as number[] };
  const end = keepSmall({
    clock: time.clock(seeded(1)),
    residentBytes: () => (process.needed + process.over) * 1e6,
    busy: async () => process.busy,
    giveBack() {
      process.over = 0;
      process.givenBackAtS.push(time.nowMs / 1000);
    },
  });
  const pass = (seconds: number) => time.pass(seconds * 1000);
  return { process, pass, end };
}

test("what a start took is given back once, and what comes later when it is over", async () => {
  const { process, pass } = waiting();
  await pass(60);
  const afterStart = [...process.givenBackAtS];
  process.over = 2;
  await pass(60);
  const afterLittle = process.givenBackAtS.length;
  process.over = 12;
  await pass(10);
  expect({ afterStart, afterLittle, all: process.givenBackAtS }).toEqual({
    afterStart: [10],
    afterLittle: 1,
    all: [10, 130],
  });
});

test("nothing is given back while a model computes, and nothing once it has ended", async () => {
  const { process, pass, end } = waiting();
  process.busy = true;
  await pass(60);
  const whileBusy = process.givenBackAtS.length;
  process.busy = false;
  await pass(10);
  const after = process.givenBackAtS.length;
  process.over = 30;
  end();
  await pass(60);
  expect({ whileBusy, after, ended: process.givenBackAtS.length }).toEqual({
    whileBusy: 0,
    after: 1,
    ended: 1,
  });
});

test("what is really needed is not asked for again, and what grows all the time four times an hour", async () => {
  const { process, pass } = waiting();
  process.needed = 300;
  await pass(3600);
  const needed = process.givenBackAtS.length;
  for (let i = 0; i < 360; i++) {
    process.over += 10;
    await pass(10);
  }
  expect({ needed, growing: process.givenBackAtS.length - needed }).toEqual({ needed: 1, growing: 4 });
});
