/** Groups of actors that are kept running, on virtual time. */
import { describe, expect, test } from "bun:test";
import { crashOf, partOf } from "#actors/runtime/part";
import { type Child, type Plan, SupervisionTree } from "#actors/runtime/supervision-tree";
import { ActorSystem } from "#actors/runtime/system";
import type { Address } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { seeded } from "../sim/random.ts";
import { VirtualTime } from "../sim/time.ts";

const outside = "node/outside" as Address;

class House {
  readonly time = new VirtualTime();
  readonly system = new ActorSystem("node", this.time.clock(seeded(1)), { yieldTo: queueMicrotask });
  readonly log: string[] = [];

  /** An actor that crashes when it is told "boom" and says when it is started and stopped. */
  child(name: string, more: Partial<Child> = {}): Child {
    return {
      name,
      stopMs: 1000,
      restart: "always",
      start: () => {
        this.log.push(`+${name}`);
        return this.system.spawn(name, ({ message }) => {
          if (message.type === "boom") throw new Error("boom");
        });
      },
      stop: async () => void this.log.push(`-${name}`),
      ...more,
    };
  }

  plan(strategy: Plan["strategy"], children: readonly Child[]): Plan {
    return {
      name: "tree",
      strategy,
      children,
      pausesMs: [200, 1000],
      budget: { restarts: 2, withinMs: 60_000 },
    };
  }

  boom(name: string): void {
    this.system.send(this.system.address(name), { type: "boom" }, outside);
  }
}

async function afterCrash(strategy: Plan["strategy"]): Promise<readonly string[]> {
  const house = new House();
  const children = ["a", "b", "c"].map((name) => house.child(name));
  await new SupervisionTree(house.system, house.plan(strategy, children)).start();
  house.log.length = 0;
  house.boom("b");
  await house.time.pass(199);
  const before = [...house.log, "|"];
  await house.time.pass(1);
  return [...before, ...house.log.slice(before.length - 1)];
}

describe("a supervision tree", () => {
  test("restarts the child that ended, all, or it and those after it, in order and after a pause", async () => {
    expect({
      oneForOne: await afterCrash("oneForOne"),
      oneForAll: await afterCrash("oneForAll"),
      restForOne: await afterCrash("restForOne"),
    }).toEqual({
      oneForOne: ["|", "+b"],
      oneForAll: ["-c", "-a", "|", "+a", "+b", "+c"],
      restForOne: ["-c", "|", "+b", "+c"],
    });
  });

  test("starts in order, stops in reverse, and waits for a child's stop to its deadline only", async () => {
    const house = new House();
    const never = () => new Promise<void>(() => house.log.push("-b hangs"));
    const children = [house.child("a"), house.child("b", { stop: never, stopMs: 500 }), house.child("c")];
    const tree = new SupervisionTree(house.system, house.plan("oneForOne", children));
    await tree.start();
    void tree.stop();
    await house.time.pass(499);
    const before = [...house.log, "|"];
    await house.time.pass(1);
    expect([...before, ...house.log.slice(before.length - 1)]).toEqual([
      "+a",
      "+b",
      "+c",
      "-c",
      "-b hangs",
      "|",
      "-a",
    ]);
    expect(["a", "b", "c"].map((name) => house.system.counts(house.system.address(name)))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("gives up when its budget is spent, stops the others, and the tree above starts it anew", async () => {
    const house = new House();
    const inner = () =>
      new SupervisionTree(house.system, house.plan("oneForOne", [house.child("a"), house.child("b")]));
    const trees: SupervisionTree[] = [];
    const startInner = () => {
      trees.push(inner());
      return trees.at(-1)?.start() ?? outside;
    };
    const child: Child = { name: "inner", start: startInner, stopMs: 1000, restart: "always" };
    const failures: string[] = [];
    const top = new SupervisionTree(
      house.system,
      { ...house.plan("oneForAll", [child]), name: "top", budget: { restarts: 1, withinMs: 600_000 } },
      ({ message }) => failures.push(message),
    );
    await top.start();
    for (let crash = 0; crash < 6; crash++) {
      house.boom("a");
      await house.time.pass(2000);
    }
    expect({ trees: trees.length, failures, left: top.children }).toEqual({
      trees: 2,
      failures: [
        "inner ended more than 1 times within 600 s, the last time because: a ended more than 2 times within 60 s, the last time because: boom",
      ],
      left: {},
    });
  });

  test("leaves alone what ended in order and need not run, and what must never be started again", async () => {
    const house = new House();
    const children = [house.child("once", { restart: "never" }), house.child("task", { restart: "onCrash" })];
    await new SupervisionTree(house.system, house.plan("oneForOne", children)).start();
    house.boom("once");
    house.system.stop(house.system.address("task"));
    await house.time.pass(60_000);
    expect(house.log).toEqual(["+once", "+task"]);
  });

  test("gives up at once with a Problem, which starting again does not mend", async () => {
    const house = new House();
    const problem = new Problem("unavailable", "the port is taken", { param: "port" });
    const start = () => {
      throw problem;
    };
    const failures: Error[] = [];
    const children = [house.child("a"), house.child("b", { start })];
    const tree = new SupervisionTree(house.system, house.plan("oneForOne", children), (failure) =>
      failures.push(failure),
    );
    await tree.start();
    expect({ failures, log: house.log, left: tree.children }).toEqual({
      failures: [problem],
      log: ["+a", "-a"],
      left: {},
    });
  });

  test("tells of each child that ends by itself, with what was thrown", async () => {
    const house = new House();
    const told: string[] = [];
    const ended: Plan["ended"] = (name, { how, cause }) => told.push(`${name} ${how} ${String(cause)}`);
    const tree = new SupervisionTree(house.system, {
      ...house.plan("restForOne", [house.child("a"), house.child("b")]),
      ended,
    });
    await tree.start();
    house.boom("a");
    await house.time.pass(1000);
    expect(told).toEqual(["a crashed Error: boom"]);
  });

  test("what a part's actors and timers throw, or its sockets, or work that nobody waits for, is the crash of the actor that stands for it", async () => {
    const house = new House();
    const { system } = house;
    const ends: string[] = [];
    const thrower = () => {
      throw new Error("boom");
    };
    for (const name of ["timer", "actor", "socket", "work"]) {
      const part = partOf(system, name);
      part.spawn(name, () => {});
      system.watch(system.address(name), ({ how, why }) => ends.push(`${name} ${how}: ${why}`));
      if (name === "timer") part.clock.after(5, thrower);
      else if (name === "actor") part.spawn("other", thrower);
      else if (name === "socket") part.caught(new Error("boom"));
      else void Promise.reject(new Error("boom")).catch(crashOf(part.clock));
    }
    house.boom("other");
    await house.time.pass(10);
    expect(ends).toEqual([
      "socket crashed: boom",
      "actor crashed: boom",
      "work crashed: boom",
      "timer crashed: boom",
    ]);
  });

  test("counts a child that cannot be started as one that ended", async () => {
    const house = new House();
    let tries = 0;
    const start = () => {
      tries += 1;
      throw new Error("no port");
    };
    const failures: string[] = [];
    const tree = new SupervisionTree(
      house.system,
      house.plan("oneForOne", [house.child("a", { start })]),
      (problem) => failures.push(problem.message),
    );
    void tree.start();
    await house.time.pass(5000);
    expect({ tries, failures }).toEqual({
      tries: 3,
      failures: ["a ended more than 2 times within 60 s, the last time because: no port"],
    });
  });
});
