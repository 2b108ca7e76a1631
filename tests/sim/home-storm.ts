/** A home of whole nodes in two minutes of bad weather, then half a minute to agree: the classes of production, wired as there. */
import type { NodeId } from "#protocol/ids";
import { SimulatedHome } from "./home.ts";
import type { Storm } from "./storm.ts";

const BAD_SECONDS = 120;
const HEAL_MS = 30_000;
const STEP_MS = 100;

/** Of all nodes together; a calm home of 20 says about 2000. */
const MESSAGES_PER_SECOND_MAX = 20_000;

interface Append {
  readonly term: number;
}

/** A storm's own account of what should never be, and of what was confirmed. */
class Account {
  readonly violations: string[] = [];
  readonly confirmed: string[] = [];
  readonly #leaders = new Map<number, NodeId>();
  #asked = 0;
  #second = 0;
  #carried = 0;

  constructor(home: SimulatedHome) {
    home.wire.heard = (from, { message }) => {
      if (message.type === "Raft.Append") this.#noteLeader(from, (message as unknown as Append).term);
      return this.#mayCarry(home.time.nowMs, message.type);
    };
  }

  #noteLeader(from: NodeId, term: number): void {
    const known = this.#leaders.get(term);
    if (known !== undefined && known !== from) this.blame(`term ${term} has two leaders`);
    this.#leaders.set(term, from);
  }

  /** What is too much in one second is lost, so that an argument without end has one. */
  #mayCarry(nowMs: number, type: string): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) this.#carried = 0;
    this.#second = second;
    this.#carried += 1;
    if (this.#carried <= MESSAGES_PER_SECOND_MAX) return true;
    this.blame(`more than ${MESSAGES_PER_SECOND_MAX} messages in a second, the last ${type}`);
    return false;
  }

  blame(...faults: readonly string[]): void {
    for (const fault of faults) if (!this.violations.includes(fault)) this.violations.push(fault);
  }

  /** Asks some machine for a change, and remembers it once it is confirmed. */
  ask(home: SimulatedHome, name: string): void {
    const key = `k${this.#asked++}`;
    const { node } = home.machine(name);
    node?.set(key, "1").then(
      () => this.confirmed.push(key),
      () => {},
    );
  }
}

export async function homeStorm(seed: number, size: number): Promise<Storm> {
  const home = new SimulatedHome(seed);
  const account = new Account(home);
  const names = [..."abcdefghijklmnopqrstuvwxyz"].slice(0, size);
  const [first = "a", ...others] = names;
  await home.pair(first, ...others);
  for (const name of names) if (!home.machine(name).node) await home.start(name);
  for (let second = 0; second < BAD_SECONDS && account.violations.length === 0; second++)
    await badSecond(home, names, account);
  Object.assign(home.wire.weather, { loss: 0, delayMs: 1, jitterMs: 1 });
  home.wire.heal();
  for (const name of names) if (!home.machine(name).node) await home.start(name);
  await home.time.pass(HEAL_MS);
  await checkHealed(home, names, account);
  const { violations, confirmed } = account;
  return { seed, violations, digest: home.trace.digest, virtualMs: home.time.nowMs, did: confirmed.length };
}

/** Everybody is up for everybody, one leads, and nothing that was confirmed is missing anywhere. */
async function checkHealed(home: SimulatedHome, names: readonly string[], account: Account): Promise<void> {
  const leaders = new Set<string>();
  for (const name of names) {
    const views = await home.node(name).nodes();
    for (const view of views) {
      if (view.state !== "up" && view.state !== "self")
        account.blame(`${name} sees ${view.name} as ${view.state}`);
      if (view.leader) leaders.add(view.name);
    }
    const { settings } = home.node(name);
    const lost = account.confirmed.filter((key) => settings[key] === undefined);
    if (lost.length > 0) account.blame(`${name} lacks ${lost.length} confirmed changes: ${lost[0]}`);
  }
  if (leaders.size !== 1) account.blame(`${[...leaders].join(", ") || "nobody"} leads`);
}

async function badSecond(home: SimulatedHome, names: readonly string[], account: Account): Promise<void> {
  const { random, wire, time } = home;
  const often = (part: number) => random() < part;
  const any = () => names[Math.floor(random() * names.length)] ?? "a";
  if (often(0.3)) turn(home, often(0.4));
  if (often(0.15)) trouble(home, any(), any());
  if (often(0.15)) wire.heal();
  const victim = any();
  if (often(0.06) && home.machine(victim).node) home.kill(victim);
  const sleeper = any();
  if (often(0.04)) home.machine(sleeper).clockJumpSeconds += (random() - 0.5) * 7200;
  for (const name of names) if (!home.machine(name).node && often(0.4)) await home.start(name);
  for (let at = 0; at < 1000; at += STEP_MS) {
    if (often(0.1)) account.ask(home, any());
    await time.pass(STEP_MS);
  }
}

/** The weather turns for all. */
function turn({ wire, random }: SimulatedHome, calm: boolean): void {
  Object.assign(
    wire.weather,
    calm
      ? { loss: 0, delayMs: 1, jitterMs: 1 }
      : { loss: random() * 0.3, delayMs: random() * 60, jitterMs: random() * 60 },
  );
}

/** Something happens to one machine, or between two. */
function trouble(home: SimulatedHome, one: string, other: string): void {
  const { wire, random } = home;
  const [a, b] = [home.id(one), home.id(other)];
  const kind = Math.floor(random() * 4);
  if (kind === 0) wire.cut(a, b);
  else if (kind === 1)
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const)
      wire.cut(from, to);
  else if (kind === 2) wire.clog(a, b, random() * 3000);
  else {
    wire.pause(a);
    wire.time.after(100 + random() * 5000, () => wire.resume(a));
  }
}
