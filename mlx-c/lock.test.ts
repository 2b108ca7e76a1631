import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { locked } from "./lock.mjs";

const root = mkdtempSync(join(tmpdir(), "exo-lock-"));
afterAll(() => rmSync(root, { recursive: true }));

const fresh = () => join(mkdtempSync(join(root, "one-")), "lock");
const never = () => {
  throw new Error("nobody else holds this lock");
};

test("a lock is gone after work that ended and work that failed", async () => {
  const path = fresh();
  const kept = await locked(path, () => readdirSync(join(path, "..")), never);
  const failed = await locked(path, () => Promise.reject(new Error("no")), never).catch(
    (error: Error) => error.message,
  );
  expect({ kept, failed, left: readdirSync(join(path, "..")) }).toEqual({
    kept: ["lock"],
    failed: "no",
    left: [],
  });
});

test("a second holder waits for the first and is told who it is", async () => {
  const path = fresh();
  const told: number[] = [];
  const order: string[] = [];
  const first = Promise.withResolvers<void>();
  const one = locked(
    path,
    async () => {
      await first.promise;
      order.push("one");
    },
    never,
  );
  const two = locked(
    path,
    () => order.push("two"),
    (holder) => {
      told.push(holder);
      first.resolve();
    },
  );
  await Promise.all([one, two]);
  expect({ told, order }).toEqual({ told: [process.pid], order: ["one", "two"] });
});

test("the lock of a process that died is taken over", async () => {
  const path = fresh();
  const dead = Bun.spawn(["true"]);
  await dead.exited;
  writeFileSync(path, `${dead.pid} 1`);
  expect(await locked(path, () => readFileSync(path, "utf8").split(" ")[0], never)).toEqual(
    String(process.pid),
  );
});

test.skipIf(process.platform !== "linux")(
  "the lock of a dead process whose number is used again is taken over",
  async () => {
    const path = fresh();
    writeFileSync(path, `${process.pid} 1`);
    expect(await locked(path, () => "taken", never)).toEqual("taken");
  },
);
