import { expect, test } from "bun:test";
import { freshIdentity } from "#actors/runtime/security/identity";
import { Problem } from "#protocol/problem";
import { checkRecord } from "./admitting.ts";
import { freshCluster } from "./genesis.ts";

test("a home begins also where no other process can work its certificates out", async () => {
  const self = freshIdentity();
  const asked: string[] = [];
  const steps = (step: string) => {
    asked.push(step);
    return Promise.reject(new Problem("unavailable", "exo could not be started"));
  };
  const record = await freshCluster(self, "first", 0, { steps });
  checkRecord(record, self);
  expect([asked, record.members.members.map(({ name }) => name)]).toEqual([["found"], ["first"]]);
});
