import { expect, test } from "bun:test";
import fc from "fast-check";
import type { NodeId } from "#protocol/ids";
import { BURST_BYTES_MAX, BurstCount } from "./burst.ts";
import { LinkTable } from "./link-table.ts";

const [me, peer, other] = ["b", "c", "a"] as [NodeId, NodeId, NodeId];
const way = { remote: "10.0.0.2", local: "10.0.0.1" };
const wired = () => ({ medium: "ethernet" as const });

test("one slow answer does not move the latency", () => {
  const table = new LinkTable(me);
  table.up(peer, way, 0);
  for (const ms of [1, 1.2, 900, 1.1, 1.3]) table.answered(peer, ms);
  expect(table.facts(wired)).toEqual([{ to: peer, medium: "ethernet", latencyMs: 1.2 }]);
});

test("a link is measured when it is new and when its addresses change, not when it comes back", () => {
  const table = new LinkTable(me);
  const dues: unknown[] = [];
  table.up(peer, way, 0);
  dues.push(table.next());
  table.measured(peer, 1e8, 77);
  dues.push(table.next());
  table.down(peer);
  table.up(peer, way, 10_000);
  dues.push(table.next(), table.facts(wired));
  table.up(peer, { ...way, remote: "10.0.9.2" }, 20_000);
  dues.push(table.next(), table.facts(wired));
  expect(dues).toEqual([
    { node: peer, dueMs: 2000, wanted: false },
    undefined,
    undefined,
    [{ to: peer, medium: "ethernet", bytesPerSecond: 1e8, measuredAt: 77 }],
    { node: peer, dueMs: 22_000, wanted: false },
    [{ to: peer, medium: "ethernet" }],
  ]);
});

test("the two ends of a link begin at different times", () => {
  const [here, there] = [new LinkTable(me), new LinkTable(other)];
  here.up(other, way, 0);
  there.up(me, way, 0);
  expect([here.next()?.dueMs, there.next()?.dueMs]).toEqual([3000, 2000]);
});

test("a refused link waits longer each time, and not at all when somebody asks", () => {
  const table = new LinkTable(me);
  table.up(peer, way, 0);
  const dues = Array.from({ length: 9 }, () => {
    table.refused(peer, 0);
    return table.next()?.dueMs;
  });
  table.want(5);
  expect([dues, table.next()?.dueMs, table.wanted]).toEqual([
    [4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000],
    5,
    true,
  ]);
});

test("who waits for a measurement has it tried some times, and is not kept", () => {
  const table = new LinkTable(me);
  table.up(peer, way, 0);
  table.want(0);
  const tries = Array.from({ length: 7 }, () => {
    table.refused(peer, 0);
    return table.wanted ? table.next()?.dueMs : "given up";
  });
  expect(tries).toEqual([300, 300, 300, 300, 300, "given up", "given up"]);
});

test("the rate of a burst is that of its second half", () => {
  const count = new BurstCount();
  for (let part = 0; part < 10; part++) count.add(1000, part < 5 ? part * 100 : 400 + (part - 4));
  expect(count.bytesPerSecond).toBe(1e6);
});

test("any burst counts to a rate that is a number or to none, and never beyond its limit", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(BURST_BYTES_MAX), fc.nat(50)), { maxLength: 20 }), (parts) => {
      const count = new BurstCount();
      let atMs = 0;
      let sum = 0;
      const taken = parts.map(([bytes, ms]) => {
        atMs += ms;
        sum += bytes;
        return count.add(bytes, atMs) === sum <= BURST_BYTES_MAX;
      });
      const { bytesPerSecond = 0 } = count;
      expect([taken.every(Boolean), Number.isFinite(bytesPerSecond), bytesPerSecond >= 0]).toEqual([
        true,
        true,
        true,
      ]);
    }),
  );
});
