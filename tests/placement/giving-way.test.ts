/** A machine's part of a model that is to make room for another: it alone knows whether somebody asks again by now. */
import { expect, test } from "bun:test";
import { placed } from "./model.ts";
import { Room } from "./room.ts";

/** A machine that told its part as idle; since then it had no request for so long. */
async function idle(nowMs: number): Promise<Room> {
  const room = new Room();
  await room.agree(placed());
  await room.loads();
  room.idleMs = 700_000;
  await room.time.pass(605_000);
  room.idleMs = nowMs;
  return room;
}

/** Whether it gives way, and what it said and did of it. */
async function asked(room: Room, epoch: number) {
  const [said, did] = [room.told.length, room.did.length];
  const answer = await room.outcome((async () => room.holder.giveWay("i", epoch))());
  return [answer, room.told.slice(said), room.did.slice(did)];
}

test("a part that is idle still is ended at once, also before the home agreed to that", async () => {
  const room = await idle(706_000);
  expect(await asked(room, 1)).toEqual([
    "done",
    ["1: nothing"],
    ["ends 1", `lost ${room.workers[0]?.name}: the model was stopped, lost`],
  ]);
});

test("a part that was asked again since that was told stays, as does that of another epoch", async () => {
  expect([await asked(await idle(100), 1), await asked(await idle(706_000), 2)]).toEqual([
    ["m is not idle here any more", [], []],
    ["m is not idle here any more", [], []],
  ]);
});

test("a part that gave way is begun again where the home places it anew instead of ending it", async () => {
  const room = await idle(706_000);
  await asked(room, 1);
  await room.agree(placed({ epoch: 2 }));
  expect([room.told.at(-1), room.did.at(-1)]).toEqual(["2: 2:loading", "Load 2 0-2"]);
});
