/** What a machine does with a model that it could hold by itself, where others of its home may be faster. */
import { expect, test } from "bun:test";
import type { Address } from "#protocol/ids";
import type { PlacedInstance } from "#protocol/placement";
import { House, loading, ready, WORKER } from "./house.ts";
import { me, other } from "./model.ts";

const FASTER = "m is on other";
const ASKS = "asks me whether others are faster";

/** Others are faster, and have it in memory half a second after they were asked. */
function house(change: Partial<House> = {}): House {
  return Object.assign(new House(), { faster: FASTER }, change);
}

async function acquired(home: House, asked: Parameters<House["acquire"]>[0] = {}): Promise<unknown[]> {
  const answer = home.acquire(asked);
  await home.pass(500);
  if (home.instances.some(({ state }) => state === "loading")) home.instances = [ready];
  await home.pass(500);
  return [await answer, home.did.filter((each) => each === ASKS).length];
}

test("who leads is asked once, and all who wait for it here are answered by where it placed it, and hear that", async () => {
  const home = house();
  const asked = [home.serving.acquire(home.asking()), home.serving.acquire(home.asking())];
  await home.pass(500);
  home.instances = [ready];
  await home.pass(500);
  const answers = await Promise.all(asked);
  const wanted = { worker: WORKER, notes: [FASTER] };
  expect([answers, home.did.filter((each) => each === ASKS)]).toMatchObject([[wanted, wanted], [ASKS]]);
});

test("what is to be here is: asked for so, kept by the settings, lost by an answer under way, or given by its path", async () => {
  const byPath = house();
  byPath.named = "/elsewhere";
  const seen = [
    await acquired(house(), { here: true }),
    await acquired(house({ kept: ["m"] })),
    await acquired(house(), { lost: { worker: "me/worker-9" as Address, isOut: false } }),
    await acquired(byPath, { model: "/there/m" }),
  ];
  expect(seen).toEqual(Array(4).fill(["by itself", 0]));
});

test("where nobody leads, or who leads says nothing before another does, it begins here", async () => {
  const [leaderless, deaf] = [house({ leader: undefined }), house({ isDeaf: true })];
  const waiting = deaf.acquire();
  await deaf.pass(500);
  deaf.isLedBy(undefined);
  expect([await acquired(leaderless), await waiting]).toEqual([["by itself", 0], "by itself"]);
});

test("where who leads says no, or does not know the question, it begins here at once", async () => {
  const seen = (["refused", "thrown"] as const).map(async (way) => {
    const home = house();
    home.refuses = way;
    return await home.acquire();
  });
  expect(await Promise.all(seen)).toEqual(["by itself", "by itself"]);
});

test("what failed on the faster machine begins here, and what was stopped there does not", async () => {
  const [failed, stopped] = [house(), house()];
  const answers = [failed.acquire(), stopped.acquire()];
  await Promise.all([failed.pass(500), stopped.pass(500)]);
  failed.instances = [
    { ...loading, state: "failed", problem: { kind: "invalid", message: "no such layer" } },
  ];
  stopped.instances = [];
  await Promise.all([failed.pass(500), stopped.pass(500)]);
  expect(await Promise.all(answers)).toEqual(["by itself", "m is being stopped"]);
});

test("what another asked for meanwhile is where that is, though nobody is faster", async () => {
  const home = house({ faster: "stays", others: 2 });
  home.meanwhile = () => {
    home.instances = [loading];
  };
  expect(await acquired(home)).toEqual([WORKER, 1]);
});

test("what is stopped while it is asked about comes up nowhere: whoever waited hears that, and what others have of it by then is stopped", async () => {
  const stopped = [house({ takesMs: 400 }), house({ takesMs: 400, faster: "stays" })].map(async (home) => {
    const waiting = home.acquire();
    await home.pass(200);
    const stop = home.serving.stop("m", false);
    await home.pass(500);
    home.instances = [];
    await home.pass(500);
    return [await waiting, await stop, home.did.includes("ends it everywhere")];
  });
  const told = "m was stopped before it was loaded";
  expect(await Promise.all(stopped)).toEqual([
    [told, true, true],
    [told, true, false],
  ]);
});

test("a copy that the settings keep here goes on answering where others are given the model, unless somebody said where, or a part is here", async () => {
  const there = ready.stages.filter(({ node }) => node !== me);
  const wish = { nodes: [other] };
  const kept = { isHeld: true, kept: ["m"] };
  const homes = [
    house({ ...kept, instances: [{ ...ready, stages: there }] }),
    house({ ...kept, instances: [{ ...ready, stages: there, wish }] }),
    house({ ...kept, instances: [ready] }),
    house({ ...kept, kept: [], instances: [{ ...ready, stages: there }] }),
  ];
  const seen = await Promise.all(homes.map((home) => home.acquire()));
  expect(seen).toEqual(["by itself", WORKER, WORKER, WORKER]);
});

/** It stands on the other machine, as it is faster there for whoever asked. */
const optional: PlacedInstance = {
  ...ready,
  faster: true,
  stages: ready.stages.filter(({ node }) => node !== me),
};

test("what stands elsewhere for speed alone binds nobody: who has a copy uses it, who has none asks once for each placement, and goes along where nobody can say", async () => {
  const seen: unknown[] = [];
  for (const change of [
    { isHeld: true },
    { faster: "stays" },
    { faster: FASTER },
    { leader: undefined },
    { fits: false },
  ] satisfies Partial<House>[]) {
    const home = house({ ...change, instances: [optional] });
    seen.push([await home.acquire(), await home.acquire(), home.did.filter((each) => each === ASKS).length]);
  }
  expect(seen).toEqual([
    ["by itself", "by itself", 0],
    ["by itself", "by itself", 2],
    [WORKER, WORKER, 1],
    [WORKER, WORKER, 0],
    [WORKER, WORKER, 0],
  ]);
});

test("another placement of it is asked about anew, and an answer that lost its worker waits for it", async () => {
  const home = house({ instances: [optional] });
  await home.acquire();
  home.instances = [{ ...optional, epoch: 2 }];
  home.faster = "stays";
  const waits = home.acquire({ lost: { worker: WORKER, isOut: false } });
  await home.pass(20_000);
  expect([await home.acquire(), await waits]).toEqual(["by itself", WORKER]);
});

test("an answer under way goes on where the model stands, though this machine was not asked about that placement: nothing is loaded here for it", async () => {
  const lost = { worker: "other/worker-0" as Address, isOut: true };
  const seen: unknown[] = [];
  for (const [asked, instances] of [
    [{ resumes: true, lost }, [optional]],
    [{ resumes: true }, [optional]],
    [{ resumes: true }, []],
  ] as const) {
    const home = house({ instances });
    seen.push([await home.acquire(asked), home.did.includes(ASKS)]);
  }
  expect(seen).toEqual([
    [WORKER, false],
    [WORKER, false],
    ["by itself", false],
  ]);
});

test("who has left while others are asked waits no more", async () => {
  const home = house({ isDeaf: true });
  const leaving = new AbortController();
  const asked = home.acquire({ left: leaving.signal });
  await home.pass(50);
  leaving.abort();
  expect(await asked).toBe("whoever waited for m has left");
});
