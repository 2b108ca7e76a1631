/**
 * Whole nodes through storms: processes killed and started, the network cut both ways and one way, slow and lossy, while users change
 * things everywhere. What was confirmed must be there at the end, on every machine. `SEED=7 bun test tests/sim/storm.test.ts` plays one.
 */
import { expect, test } from "bun:test";
import { SimulatedHome } from "./home.ts";

const NAMES = ["a", "b", "c", "d", "e"];
const SECONDS = 90;
/** `SEED=7`, or `SEED=100-200`. */
const [from = 1, to = from] = (process.env.SEED ?? "1-3").split("-").map(Number);
const seeds = Array.from({ length: to - from + 1 }, (_, i) => from + i);

class Storm {
  readonly home: SimulatedHome;
  readonly confirmed = new Set<string>();
  #asked = 0;

  constructor(seed: number) {
    this.home = new SimulatedHome(seed);
  }

  #pick(): string {
    return NAMES[Math.floor(this.home.random() * NAMES.length)] ?? "a";
  }

  get #running(): readonly string[] {
    return NAMES.filter((name) => this.home.machine(name).node !== undefined);
  }

  async second(): Promise<void> {
    const { home } = this;
    const { random, wire } = home;
    Object.assign(wire.weather, {
      loss: random() * 0.15,
      delayMs: 1 + random() * 40,
      jitterMs: random() * 60,
    });
    if (random() < 0.12) wire.cut(home.id(this.#pick()), home.id(this.#pick()));
    if (random() < 0.06) this.#isolate(this.#pick());
    if (random() < 0.1) wire.heal();
    const victim = this.#pick();
    if (random() < 0.08 && home.machine(victim).node) home.kill(victim);
    for (const name of NAMES) if (!home.machine(name).node && random() < 0.2) await home.start(name);
    if (random() < 0.5) this.#ask();
    await home.time.pass(1000);
  }

  #isolate(name: string): void {
    const { home } = this;
    for (const other of NAMES) {
      home.wire.cut(home.id(name), home.id(other));
      home.wire.cut(home.id(other), home.id(name));
    }
  }

  /** A user sets something on a machine that runs: kept in mind once it is confirmed. */
  #ask(): void {
    const name = this.#running[Math.floor(this.home.random() * this.#running.length)];
    if (!name) return;
    this.#asked += 1;
    const label = `l${this.#asked % 16}`;
    const setting = `s${this.#asked}`;
    const note = () => void this.confirmed.add(setting);
    const lost = () => {}; // Not confirmed: it may have happened or not.
    const node = this.home.node(name);
    node.set(setting, "1").then(note, lost);
    node
      .change({ type: "label", node: this.home.id(this.#pick()), labels: { [label]: setting } })
      .then(lost, lost);
  }

  async calm(): Promise<void> {
    Object.assign(this.home.wire.weather, { loss: 0, delayMs: 1, jitterMs: 1 });
    this.home.wire.heal();
    for (const name of NAMES) if (!this.home.machine(name).node) await this.home.start(name);
    await this.home.time.pass(12_000);
  }

  async outcome() {
    const views = await Promise.all(
      NAMES.map(async (name) => {
        const nodes = await this.home.node(name).nodes();
        const told = nodes.map(({ node, leader, voter, labels }) => [node, leader, voter, labels]);
        const states = nodes.filter(({ state }) => state !== "self" && state !== "up").length;
        return { told: JSON.stringify(told.sort()), states, settings: this.home.node(name).settings };
      }),
    );
    const lost = NAMES.flatMap((_, i) =>
      [...this.confirmed].filter((setting) => views[i]?.settings[setting] === undefined),
    );
    return {
      opinions: new Set(views.map(({ told }) => told)).size,
      notUp: views.reduce((sum, { states }) => sum + states, 0),
      lost: lost.length,
      few: this.confirmed.size < 5,
    };
  }
}

test("T33 what was confirmed survives every storm, and all agree after it", async () => {
  const wrong: object[] = [];
  let confirmed = 0;
  for (const seed of seeds) {
    const storm = new Storm(seed);
    await storm.home.pair("a", "b", "c", "d", "e");
    for (const name of NAMES) await storm.home.start(name);
    await storm.home.time.pass(5000);
    for (let second = 0; second < SECONDS; second++) await storm.second();
    await storm.calm();
    const outcome = await storm.outcome();
    confirmed += storm.confirmed.size;
    const good = outcome.opinions === 1 && outcome.notUp === 0 && outcome.lost === 0 && !outcome.few;
    if (!good || storm.home.troubles.length > 0)
      wrong.push({ seed, ...outcome, said: storm.home.troubles.slice(0, 5) });
    for (const name of NAMES) storm.home.kill(name);
  }
  expect(wrong).toEqual([]);
  expect(confirmed).toBeGreaterThan(seeds.length * 5);
});
