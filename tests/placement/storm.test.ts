/** Whatever happens to who leads and to the machines, in any order: afterwards the model is ready again, and all who asked were answered. */
import { expect, setDefaultTimeout, test } from "bun:test";
import type { NodeId } from "#protocol/ids";
import { Problem, type ProblemBody } from "#protocol/problem";
import { seeded } from "../sim/random.ts";
import { MODEL, speeds } from "./model.ts";
import { World } from "./world.ts";

setDefaultTimeout(300_000);

const SEEDS = 30;
const EVENTS = 40;
/** A command of each machine's loss, of each placement and of each state that follows; more would be a loop. */
const COMMANDS_MAX = 10 * EVENTS;
/** A pause of 5 s after a crash, a majority that is late, a machine that is asked what it holds, and what memory is told. */
const SOON_MS = 30_000;
/** Bars double up to an hour. */
const CALM_MS = 2 * 60 * 60_000;

const BROKE: ProblemBody = { kind: "unavailable", message: "the worker ended" };
const FULL: ProblemBody = { kind: "doesNotFit", message: "no memory" };
const LATE = new Problem(
  "unavailable",
  "no majority confirmed the change in time: it may still come into force",
);
const BEFORE = new Problem("unavailable", "another leader's change came first: look, and try again");

class Storm {
  readonly world = new World("a", "b", "c");
  readonly #random: () => number;
  /** What was asked, and is not answered yet. */
  open = 0;
  readonly did: string[] = [];

  constructor(seed: number) {
    this.#random = seeded(seed);
    for (const [name, bytes] of [
      ["a", 10e9],
      ["b", 40e9],
      ["c", 10e9],
    ] as const)
      Object.assign(this.world.machine(name), { speeds: [speeds(bytes)] });
  }

  async event(): Promise<void> {
    const events = this.#events();
    const [name, run] = this.#one(Object.entries(events)) ?? [];
    this.did.push(`${Math.round(this.world.time.nowMs)} ${name}`);
    await run?.();
    await this.world.settle(this.#one([0, 20, 300, 2000, 15_000]));
  }

  #events(): Record<string, () => unknown> {
    const { world } = this;
    const other = this.#one(["b", "c"]) ?? "b";
    const any = this.#one(["a", "b", "c"]) ?? "a";
    return {
      dies: () => world.is(other, "dead"),
      returns: () => world.is(other, "up"),
      unseen: () => world.is(other, "connecting"),
      crashes: () => world.becomes(any, BROKE),
      parts: () => world.parts(any),
      full: () => void Object.assign(world.machine(any), { outcome: FULL }),
      roomy: () => void Object.assign(world.machine(any), { outcome: "loads" }),
      slow: () => void Object.assign(world.machine(any), { outcome: undefined }),
      loads: () => world.loads(any),
      deposed: () => world.deposed({ again: true }),
      elected: () => world.newLeader(),
      restarted: () => world.restart(),
      blind: () => void Object.assign(world, { blind: 2 }),
      refused: () => this.#disagrees(() => BEFORE),
      late: () => this.#disagrees(() => LATE),
      lateAfterAll: () =>
        this.#disagrees((command) => {
          void world.time.after(this.#one([0, 500, 3000]) ?? 0, () => this.#agreed(command));
          return LATE;
        }),
      asks: () => this.ask(),
      couldHold: () => {
        const asked = { model: MODEL, settings: { kvQuant: "f16" } } as const;
        this.#count(world.coordinator.placeFaster("a" as NodeId, asked));
      },
      rebalances: () => this.#count(world.coordinator.rebalance("a" as NodeId, { model: MODEL, wish: {} })),
      stops: () => this.#count(world.coordinator.release({ model: MODEL, now: true })),
    };
  }

  ask(): void {
    const asked = { model: MODEL, wish: {}, settings: { kvQuant: "f16" } } as const;
    this.#count(this.world.coordinator.place("a" as NodeId, asked));
  }

  /** All is well again: how the model is soon after, and in the end, once somebody asked for it again. */
  async calm(): Promise<readonly string[]> {
    const { world } = this;
    world.disagrees = () => undefined;
    for (const machine of world.machines.values()) machine.outcome = "loads";
    for (const name of ["b", "c"]) await world.is(name, "up");
    for (const name of ["a", "b", "c"]) await world.loads(name);
    await world.settle(SOON_MS);
    const soon = this.#state;
    await world.settle(CALM_MS);
    this.ask();
    await world.settle(SOON_MS);
    return [soon, this.#state];
  }

  get #state(): string {
    return this.world.instances[0]?.state ?? "none";
  }

  /** Once. */
  #disagrees(answer: World["disagrees"]): void {
    const { world } = this;
    world.disagrees = (command) => {
      world.disagrees = () => undefined;
      return answer(command);
    };
  }

  /** A command comes into force after all, where the home's rules still allow it. */
  #agreed(command: Parameters<World["disagrees"]>[0]): void {
    try {
      this.world.agreeNow(command);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  }

  #count(work: Promise<unknown>): void {
    this.open++;
    const answered = () => void this.open--;
    void work.then(answered, (error: unknown) => {
      if (!(error instanceof Problem)) this.did.push(`MISTAKE ${error}`);
      answered();
    });
  }

  #one<Value>(all: readonly Value[]): Value | undefined {
    return all[Math.floor(this.#random() * all.length)];
  }
}

test("whatever happens, in the end the model is ready and nobody waits", async () => {
  const bad: unknown[] = [];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const storm = new Storm(seed);
    for (let event = 0; event < EVENTS; event++) await storm.event();
    const commands = storm.world.index;
    const [soon = "", end] = await storm.calm();
    const mistakes = [...storm.did, ...storm.world.said].filter((line) => /MISTAKE|crashed:/.test(line));
    const isStuck = !["ready", "failed", "none"].includes(soon);
    if (isStuck || end !== "ready" || storm.open > 0 || mistakes.length > 0 || commands > COMMANDS_MAX)
      bad.push({ seed, soon, end, shown: storm.world.shown, open: storm.open, mistakes, commands });
  }
  expect(bad).toEqual([]);
});
