/** What befalls a home in bad weather, as its menu has it: to the network, to machines, to disks, and what a hostile member sends. */
import type { Envelope } from "#protocol/codec";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { Account } from "./account.ts";
import { FileDisk } from "./disk.ts";
import { garbage, type Said } from "./garbage.ts";
import type { SimulatedHome } from "./home.ts";
import type { Menu } from "./menu.ts";
import type { Rebirths } from "./rebirth.ts";
import type { Verdicts } from "./verdicts.ts";

export const CALM = { loss: 0, delayMs: 1, jitterMs: 1 };
const ROLES_PER_SECOND = 0.05;
/** The wall clock of a machine jumps by up to an hour. */
const JUMP_SECONDS = 3600;

export interface Watchers {
  readonly account: Account;
  readonly verdicts: Verdicts;
  readonly rebirths: Rebirths;
}

export class Harm {
  /** What goes wrong how often; another for each storm. */
  menu: Menu;
  /** A member that sends what nobody should. */
  hostile: string | undefined;
  readonly #home: SimulatedHome;
  readonly #names: readonly string[];
  readonly #account: Account;
  readonly #verdicts: Verdicts;
  readonly #rebirths: Rebirths;
  /** Of a machine whose disk is slow: how long each write holds it up. */
  readonly #slowMs = new Map<string, number>();
  #said: Said = {};

  constructor(home: SimulatedHome, names: readonly string[], menu: Menu, watchers: Watchers) {
    this.#home = home;
    this.#names = names;
    this.menu = menu;
    this.#account = watchers.account;
    this.#verdicts = watchers.verdicts;
    this.#rebirths = watchers.rebirths;
  }

  /** What a hostile member says is kept, to be said again in pieces. */
  listen(): void {
    const home = this.#home;
    const { heard } = home.wire;
    home.wire.heard = (from, envelope) => {
      if (this.hostile !== undefined && home.id(this.hostile) === from)
        this.#said = { any: envelope, telling: isTelling(envelope) ? envelope : this.#said.telling };
      return heard(from, envelope);
    };
  }

  /** One second's. */
  strike(): void {
    const [home, menu] = [this.#home, this.menu];
    if (this.#often(menu.jumps)) this.#jump(home.machine(this.#any()));
    if (this.#often(menu.turns)) this.#turn();
    if (this.#often(menu.troubles)) this.#trouble(this.#any(), this.#any());
    if (this.#often(menu.heals)) this.mend();
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
    const { calm, lossMax, delayMaxMs } = this.menu;
    const rough = {
      loss: random() * lossMax,
      delayMs: random() * delayMaxMs,
      jitterMs: random() * delayMaxMs,
    };
    Object.assign(wire.weather, random() < calm ? CALM : rough);
    this.#verdicts.weather();
  }

  /** Everything passes again, whoever stood still goes on. */
  mend(): void {
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
    if (kind < 3) this.#verdicts.lastingTrouble(other);
    if (kind < 5) this.#verdicts.lastingTrouble(one);
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
    for (const name of this.#names) this.#verdicts.lastingTrouble(name);
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
  stall(name: string): void {
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
    const name = this.hostile;
    if (name === undefined) return;
    this.#verdicts.trouble(name, 0);
    const from: NodeId = this.#home.id(name);
    for (const link of wire.links)
      if (link.self === from && link.lane === "control" && random() < 0.3)
        link.sendFrame(garbage(random, from, link.peer.node, this.#said));
  }

  #often(part: number): boolean {
    return this.#home.random() < part;
  }

  #any(): string {
    return this.#names[Math.floor(this.#home.random() * this.#names.length)] ?? "a";
  }
}

/** Whether something that a user said may be in it. */
const isTelling = ({ message }: Envelope): boolean =>
  message.type === "Cluster.Propose" || message.type === "Raft.Append";
