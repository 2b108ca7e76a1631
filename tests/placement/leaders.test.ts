/** Whom a machine's gateway asks to place a model while who leads the home is another again and again. */
import { expect, test } from "bun:test";
import { notLeading } from "#actors/supervisor/cluster/replica";
import { Problem } from "#protocol/problem";
import { House, ready, WORKER } from "./house.ts";
import { me, other } from "./model.ts";

test("who leads no more is not the last to be asked, a refusal of who leads is", async () => {
  const [changing, refusing] = [new House({ fits: false }), new House({ fits: false })];
  changing.refusals = [notLeading(), notLeading()];
  refusing.refusals = [new Problem("doesNotFit", "m takes too much")];
  const asked = [changing.acquire(), refusing.acquire()];
  await Promise.all([changing.pass(500), refusing.pass(500)]);
  changing.instances = [ready];
  await changing.pass(500);
  expect([await Promise.all(asked), changing.did.length, refusing.did.length]).toEqual([
    [WORKER, "m takes too much"],
    4,
    2,
  ]);
});

test("who leads no more when it has decided, after however long, is not the last to be asked", async () => {
  const house = new House({ fits: false });
  house.takesMs = 15_000;
  house.refusals = [notLeading(), notLeading(), notLeading()];
  const asked = house.acquire();
  for (const next of [other, me, other]) {
    await house.pass(14_000);
    house.isLedBy(undefined);
    await house.pass(3_000);
    house.isLedBy(next);
  }
  await house.pass(15_000);
  house.instances = [ready];
  await house.pass(500);
  expect([await asked, house.did.filter((line) => line.includes("place"))]).toEqual([
    WORKER,
    ["me", "other", "me", "other"].map((leader) => `asks ${leader} to place it`),
  ]);
});

test("who was asked after another was deposed has as long to decide, and may be deposed too", async () => {
  const house = new House({ fits: false });
  house.takesMs = 15_000;
  house.refusals = [notLeading(), notLeading()];
  const asked = house.acquire();
  await house.pass(1_000);
  house.isLedBy(other);
  await house.pass(14_500);
  house.leader = undefined;
  await house.pass(2_000);
  house.isLedBy(me);
  await house.pass(16_000);
  house.instances = [ready];
  await house.pass(500);
  expect([await asked, house.did.filter((line) => line.includes("place"))]).toEqual([
    WORKER,
    ["me", "other", "me"].map((leader) => `asks ${leader} to place it`),
  ]);
});

test("who goes on being named as leader and says that it is not is asked for ten seconds", async () => {
  const house = new House({ fits: false });
  house.refusals = Array.from({ length: 1_000 }, notLeading);
  const asked = house.acquire();
  await house.pass(9_000);
  const before = house.refusals.length;
  await house.pass(2_000);
  const after = house.refusals.length;
  await house.pass(2_000);
  expect([await asked, before > after, house.refusals.length]).toEqual([
    "this machine does not lead the cluster now",
    true,
    after,
  ]);
});

test("who asked a leader that answers nothing asks the next one as soon as there is one", async () => {
  const house = new House({ fits: false });
  house.isDeaf = true;
  const asked = house.acquire();
  await house.pass(200);
  house.isDeaf = false;
  house.isLedBy(other);
  await house.pass(200);
  house.instances = [ready];
  await house.pass(200);
  expect([await asked, house.did.filter((line) => line.includes("place"))]).toEqual([
    WORKER,
    ["asks me to place it", "asks other to place it"],
  ]);
});
