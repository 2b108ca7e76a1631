import { expect, test } from "bun:test";
import type { NodeFacts } from "#protocol/node";
import type { NodeRecord } from "#protocol/topology";
import { isNews } from "./news.ts";

const facts: NodeFacts = {
  ...{ name: "studio", version: "1", os: "linux", arch: "x64", chip: "cpu", cores: 2 },
  ...{ memoryBytes: 100e9, freeBytes: 50e9, accelerators: [], interfaces: [], rdma: "none" },
};
const told = (freeBytes: number) => ({ facts: { ...facts, freeBytes }, links: [] }) as unknown as NodeRecord;

test("what a model takes or gives back is told: much of what is free, or some of the memory, and no less", () => {
  const cases = [
    [50e9, 48.5e9],
    [50e9, 47.5e9],
    [2e9, 1.9e9],
    [2e9, 1.7e9],
    [100e6, 80e6],
    [100e6, 400e6],
  ] as const;
  expect(cases.map(([before, now]) => isNews(told(before), told(now)))).toEqual([
    false,
    true,
    false,
    true,
    false,
    true,
  ]);
});
