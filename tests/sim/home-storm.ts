/** A home of whole nodes in two minutes of bad weather, then half a minute to agree: the classes of production, wired as there. */
import type { NodeView } from "#protocol/cluster";
import type { Envelope } from "#protocol/codec";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { Account } from "./account.ts";
import { FileDisk } from "./disk.ts";
import { garbage } from "./garbage.ts";
import { SimulatedHome } from "./home.ts";
import { drawMenu, type Menu } from "./menu.ts";
import { Rebirths } from "./rebirth.ts";
import type { Storm } from "./storm.ts";
import { Verdicts } from "./verdicts.ts";

const BAD_SECONDS = 120;
const STEP_MS = 100;
/** Whoever is to agree after healing has so long; only then is it looked whether it does. */
const HEAL_MS = 5000;
/** One that begins anew, or was killed late, is let in by then. */
const REST_MS = 20_000;
const SPARES = 2;
const CALM = { loss: 0, delayMs: 1, jitterMs: 1 };
const ROLES_PER_SECOND = 0.05;
/** The wall clock of a machine jumps by up to an hour. */
const JUMP_SECONDS = 3600;

export interface HomeStormOptions {
  /** So many of the machines have no say; each of the others has, and so has each of these for a while. */
  readonly workers?: number;
}

export async function homeStorm(
  seed: number,
  size: number,
  { workers = 0 }: HomeStormOptions = {},
): Promise<Storm> {
  const storm = new HomeStorm(seed, size, workers);
  try {
    return await storm.run(seed);
  } finally {
    storm.end();
  }
}

class HomeStorm {
  readonly #home: SimulatedHome;
  readonly #account: Account;
  readonly #verdicts: Verdicts;
  readonly #rebirths: Rebirths;
  readonly #menu: Menu;
  readonly #names: readonly string[];
  readonly #files: FileDisk[] = [];
  /** Of a machine whose disk is slow: how long each write holds it up. */
  readonly #slowMs = new Map<string, number>();
  #hostile: string | undefined;
  #said: Envelope | undefined;

  constructor(seed: number, size: number, workers: number) {
    this.#home = new SimulatedHome(seed);
    this.#account = new Account(this.#home);
    this.#verdicts = new Verdicts(this.#home, this.#account);
    this.#rebirths = new Rebirths(this.#home, this.#account);
    this.#menu = drawMenu(this.#home.random);
    this.#names = [..."abcdefghijklmnopqrstuvwxyz"].slice(0, size);
    for (const name of this.#names.slice(size - workers)) this.#home.workers.add(name);
  }

  async run(seed: number): Promise<Storm> {
    const [home, account] = [this.#home, this.#account];
    await this.#begin();
    for (let second = 0; second < BAD_SECONDS && account.violations.length === 0; second++)
      await this.#badSecond();
    await this.#heal();
    account.checkSaid();
    this.#verdicts.checkMedian();
    const { violations, confirmed } = account;
    return { seed, violations, digest: home.trace.digest, virtualMs: home.time.nowMs, did: confirmed.length };
  }

  end(): void {
    for (const name of this.#names) this.#home.kill(name);
    for (const files of this.#files) files.remove();
  }

  async #begin(): Promise<void> {
    const [home, menu] = [this.#home, this.#menu];
    const [first = "a", ...others] = this.#names;
    await home.pair(first, ...others);
    if (menu.wipes > 0 || menu.hasFiles) home.spare(SPARES);
    if (menu.hasFiles) this.#files.push(await home.onFiles(this.#any()));
    for (const name of this.#names) if (home.random() < menu.newer) home.wire.newer.add(home.id(name));
    if (menu.garbage > 0 && this.#names.length > 3) this.#hostile = this.#any();
    const { heard } = home.wire;
    home.wire.heard = (from, envelope) => {
      if (this.#hostile !== undefined && home.id(this.#hostile) === from) this.#said = envelope;
      return heard(from, envelope);
    };
    home.air.doubled = menu.doubled;
    for (const name of this.#names) await this.#start(name);
    await home.time.pass(2000);
  }

  async #start(name: string): Promise<void> {
    const machine = this.#home.machine(name);
    machine.disk.watch = this.#account.watchOf(name, () => this.#stall(name));
    await this.#home.start(name);
    this.#verdicts.started(name);
  }

  async #badSecond(): Promise<void> {
    const [home, menu] = [this.#home, this.#menu];
    this.#harm();
    for (const name of this.#names)
      if (!home.machine(name).node && this.#often(menu.restarts)) await this.#start(name);
    this.#rebirths.step();
    this.#account.checkHeld();
    for (let at = 0; at < 1000; at += STEP_MS) {
      if (this.#often(menu.asks)) this.#account.ask(this.#any());
      await home.time.pass(STEP_MS);
      this.#verdicts.check();
    }
  }

  #harm(): void {
    const [home, menu] = [this.#home, this.#menu];
    if (this.#often(menu.jumps)) this.#jump(home.machine(this.#any()));
    if (this.#often(menu.turns)) this.#turn();
    if (this.#often(menu.troubles)) this.#trouble(this.#any(), this.#any());
    if (this.#often(menu.heals)) this.#mend();
    if (this.#often(menu.kills)) this.#kill(this.#any());
    if (this.#often(menu.wipes)) this.#wipe(this.#any());
    if (home.workers.size > 0 && this.#often(ROLES_PER_SECOND)) this.#turnRole(this.#any(), this.#any());
    if (this.#often(menu.forgets)) this.#wipe(this.#any(), true);
    if (this.#often(menu.garbage)) this.#sendGarbage();
    if (this.#often(menu.replays)) home.air.replay();
    if (this.#often(menu.overloads)) for (let asked = 0; asked < 40; asked++) this.#account.ask(this.#any());
  }

  #jump(machine: { clockJumpSeconds: number }): void {
    machine.clockJumpSeconds += (this.#home.random() - 0.5) * 2 * JUMP_SECONDS;
  }

  /** The weather turns for all. */
  #turn(): void {
    const { wire, random } = this.#home;
    const { calm, lossMax, delayMaxMs } = this.#menu;
    const rough = {
      loss: random() * lossMax,
      delayMs: random() * delayMaxMs,
      jitterMs: random() * delayMaxMs,
    };
    Object.assign(wire.weather, random() < calm ? CALM : rough);
    this.#verdicts.weather();
  }

  #mend(): void {
    this.#home.wire.heal();
    this.#slowMs.clear();
    this.#verdicts.eased();
  }

  /** Something happens to one machine, or between two. */
  #trouble(one: string, other: string): void {
    const { wire, random } = this.#home;
    const [a, b] = [this.#home.id(one), this.#home.id(other)];
    const kind = Math.floor(random() * 7);
    if (kind === 0) wire.cut(a, b);
    else if (kind === 1) {
      wire.cut(a, b);
      wire.cut(b, a);
    } else if (kind === 2) wire.clog(a, b, random() * 3000);
    else if (kind === 3) this.#isolate(one);
    else if (kind === 4) this.#slowMs.set(one, 5 + random() * 300);
    else this.#freeze(one, 100 * 300 ** random(), kind === 5);
    if (kind < 5) for (const name of [one, other]) this.#verdicts.trouble(name, Number.POSITIVE_INFINITY);
  }

  /** Some on one side, the others on the other. */
  #isolate(one: string): void {
    const { wire, random } = this.#home;
    const side = new Set(this.#names.filter((name) => name === one || random() < 0.3));
    for (const here of side)
      for (const there of this.#names)
        if (!side.has(there)) {
          wire.cut(this.#home.id(here), this.#home.id(there));
          wire.cut(this.#home.id(there), this.#home.id(here));
        }
    for (const name of this.#names) this.#verdicts.trouble(name, Number.POSITIVE_INFINITY);
  }

  /** Its process stands still; when it sleeps its system does so as well. */
  #freeze(name: string, ms: number, sleeps: boolean): void {
    const { wire, time } = this.#home;
    const node = this.#home.id(name);
    wire.pause(node);
    wire.site(node).dark ||= sleeps;
    this.#verdicts.trouble(name, ms);
    time.after(ms, () => {
      if (sleeps) wire.site(node).dark = false;
      wire.resume(node);
    });
  }

  /** A write that waits for a slow disk. */
  #stall(name: string): void {
    const ms = this.#slowMs.get(name);
    if (ms !== undefined && !this.#home.wire.site(this.#home.id(name)).paused) this.#freeze(name, ms, false);
  }

  #kill(name: string): void {
    if (!this.#home.machine(name).node) return;
    this.#verdicts.died(name);
    this.#home.kill(name);
    const { disk } = this.#home.machine(name);
    if (disk instanceof FileDisk && this.#rebirths.isSafe(name) && disk.damage(this.#home.random))
      this.#rebirths.begin(name);
  }

  #wipe(name: string, forgets = false): void {
    if (!forgets && (!this.#home.machine(name).node || !this.#rebirths.isSafe(name))) return;
    this.#verdicts.trouble(name, Number.POSITIVE_INFINITY);
    this.#rebirths[forgets ? "sendAway" : "begin"](name);
  }

  /** Whoever is asked, and whoever it is about: it may come into force or not, now or later. */
  #turnRole(asked: string, name: string): void {
    const { node } = this.#home.machine(asked);
    const role = this.#home.random() < 0.5 ? "full" : "worker";
    node?.change({ type: "role", node: this.#home.id(name), role }).catch((error: unknown) => {
      if (!(error instanceof Problem)) throw error;
    });
  }

  #sendGarbage(): void {
    const { random, wire } = this.#home;
    const name = this.#hostile;
    if (name === undefined) return;
    this.#verdicts.trouble(name, 0);
    const from: NodeId = this.#home.id(name);
    for (const link of wire.links)
      if (link.self === from && link.lane === "control" && random() < 0.3)
        link.sendFrame(garbage(random, from, link.peer.node, this.#said));
  }

  /** The weather is fair, all machines run again: they agree within 5 s of it, and of the last one that was let in. */
  async #heal(): Promise<void> {
    const home = this.#home;
    Object.assign(home.wire.weather, CALM);
    this.#verdicts.weather();
    this.#mend();
    this.#hostile = undefined;
    for (const name of this.#names) if (!home.machine(name).node) await this.#start(name);
    const wait = this.#rebirths.isUnderWay ? 3 * REST_MS : 0;
    for (let ms = 0; ms < wait && this.#rebirths.isUnderWay; ms += 1000) {
      this.#rebirths.step();
      await home.time.pass(1000);
    }
    if (this.#rebirths.isUnderWay) this.#account.blame("a machine that began anew is not let in");
    await home.time.pass(HEAL_MS);
    if (this.#account.violations.length > 0) return;
    const early = await this.#disagreements();
    await home.time.pass(REST_MS);
    const late = await this.#disagreements();
    this.#account.blame(
      ...(late.length > 0 ? late : early.map((why) => `${why}, ${HEAL_MS} ms after healing`)),
    );
  }

  /** Everybody is up for everybody, one leads, no worker votes, and nothing that was confirmed is missing anywhere. */
  async #disagreements(): Promise<string[]> {
    const found: string[] = [];
    const leaders = new Set<string>();
    for (const name of this.#names) {
      const node = this.#home.node(name);
      const views = await node.nodes();
      found.push(...views.flatMap((view) => oddities(view).map((odd) => `${name} sees ${view.name} ${odd}`)));
      for (const view of views) if (view.leader) leaders.add(view.name);
      const { settings } = node;
      const lost = this.#account.confirmed.filter((key) => settings[key] === undefined);
      if (lost.length > 0) found.push(`${name} lacks ${lost.length} confirmed changes: ${lost[0]}`);
    }
    if (leaders.size !== 1) found.push(`${[...leaders].join(", ") || "nobody"} leads`);
    return found;
  }

  #often(part: number): boolean {
    return this.#home.random() < part;
  }

  #any(): string {
    return this.#names[Math.floor(this.#home.random() * this.#names.length)] ?? "a";
  }
}

/** What should not be so of a machine when all is well. */
const oddities = ({ state, role, voter, leader }: NodeView): string[] => [
  ...(state === "up" || state === "self" ? [] : [`as ${state}`]),
  ...(role === "worker" && (voter || leader) ? ["vote, which is a worker"] : []),
];
