import { expect, test } from "bun:test";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { NeedsIdle, nameOf, type Other, withRoom } from "./giving-way.ts";

const FULL = new Problem("doesNotFit", "no plan fits m");

const other = (model: string, bytes: number, idleSinceMs?: number): Other => ({
  model,
  bytes: new Map([[`of ${model}` as NodeId, bytes]]),
  idleSinceMs,
});

/** What is stopped where so many bytes are needed, or what is said instead; and how many plans that took. */
async function given(needed: number, others: readonly Other[], useless: readonly string[] = []) {
  let plans = 0;
  const fits = async (stopped: readonly Other[]) => {
    plans += 1;
    const bytes = stopped.flatMap((each) => (useless.includes(each.model) ? [] : [...each.bytes.values()]));
    if (bytes.reduce((sum, each) => sum + each, 0) < needed) throw FULL;
    return true;
  };
  const room = { others, free: new Map(), fits, breath: async () => {} };
  const problem = await withRoom(FULL, room);
  return [problem instanceof NeedsIdle ? problem.models.map(nameOf) : problem.remedy, plans];
}

test("of idle models one is stopped if one is enough, else the first ones that were asked, without those that are of no use", async () => {
  const idle = [other("new", 50, 9), other("old", 10, 1), other("older", 10, 0), other("used", 90)];
  expect([
    await given(10, idle),
    await given(40, idle),
    await given(60, idle),
    await given(60, idle, ["older"]),
    await given(90, idle),
    await given(100, idle),
  ]).toEqual([
    [["older"], 2],
    [["new"], 4],
    [["older", "new"], 8],
    [["old", "new"], 8],
    ["it fits once used is stopped: exo stop used", 2],
    [undefined, 2],
  ]);
});

test("a home full of idle models is not planned for each set of them", async () => {
  const many = Array.from({ length: 200 }, (_, at) => other(`m${at}`, 1, at));
  const [models, plans] = await given(3, many);
  expect([models, Number(plans) < 40]).toEqual([["m0", "m1", "m2"], true]);
});
