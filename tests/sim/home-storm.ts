/**
 * A home of whole nodes in two minutes of bad weather, then half a minute to agree: the classes of production, wired as there. A home that
 * lives longer has calm spells of minutes, then another storm of another kind; what must never be is looked for all the time.
 */
import type { NodeView } from "#protocol/cluster";
import { Account } from "./account.ts";
import type { FileDisk } from "./disk.ts";
import { CALM, Harm } from "./harm.ts";
import { SimulatedHome } from "./home.ts";
import { drawMenu } from "./menu.ts";
import { ASKED_MS, Rebirths } from "./rebirth.ts";
import type { Storm } from "./storm.ts";
import { Verdicts } from "./verdicts.ts";

const BAD_SECONDS = 120;
const STEP_MS = 100;
/** Whoever is to agree after healing has so long; only then is it looked whether it does. */
const HEAL_MS = 5000;
/** One that begins anew, or was killed late, is let in by then. */
const REST_MS = 20_000;
const SPARES = 2;
/** Between two storms: as long on average, no shorter than that, no longer than that. */
const CALM_SECONDS = 8 * 60;
const CALM_SECONDS_MIN = 60;
const CALM_SECONDS_MAX = 30 * 60;
const CALM_ASKS = 0.02;
/** At the end of a calm spell nobody asks for anything: what is confirmed is known to all by then. */
const QUIET_SECONDS = 10;
/** A storm leaves 256 changes at most, which are gone after half a minute. */
const TIDIED_PER_SECOND = 10;

export interface HomeStormOptions {
  /** So many of the machines have no say; each of the others has, and so has each of these for a while. */
  readonly workers?: number;
  /** Virtual minutes after which no other storm begins; absent: one storm is all. */
  readonly minutes?: number;
}

export async function homeStorm(
  seed: number,
  size: number,
  { workers = 0, minutes = 0 }: HomeStormOptions = {},
): Promise<Storm> {
  const storm = new HomeStorm(seed, size, workers);
  try {
    return await storm.run(seed, minutes);
  } finally {
    storm.end();
  }
}

class HomeStorm {
  readonly #home: SimulatedHome;
  readonly #account: Account;
  readonly #verdicts: Verdicts;
  readonly #rebirths: Rebirths;
  readonly #harm: Harm;
  readonly #names: readonly string[];
  readonly #files: FileDisk[] = [];

  constructor(seed: number, size: number, workers: number) {
    this.#home = new SimulatedHome(seed);
    this.#account = new Account(this.#home);
    this.#verdicts = new Verdicts(this.#home, this.#account);
    this.#rebirths = new Rebirths(this.#home, this.#account, this.#verdicts);
    const menu = drawMenu(this.#home.random);
    this.#names = [..."abcdefghijklmnopqrstuvwxyz"].slice(0, size);
    for (const name of this.#names.slice(size - workers)) this.#home.workers.add(name);
    const watchers = { account: this.#account, verdicts: this.#verdicts, rebirths: this.#rebirths };
    this.#harm = new Harm(this.#home, this.#names, menu, watchers);
  }

  async run(seed: number, minutes: number): Promise<Storm> {
    const [home, account] = [this.#home, this.#account];
    await this.#begin();
    let stormMs = await this.#storm();
    while (account.violations.length === 0 && home.time.nowMs < minutes * 60_000) {
      await this.#calm();
      stormMs += await this.#storm();
    }
    account.checkSaid();
    this.#verdicts.checkMedian();
    const { violations, changes } = account;
    const { nowMs: virtualMs } = home.time;
    return { seed, violations, digest: home.trace.digest, virtualMs, stormMs, did: changes };
  }

  /** How long it was. */
  async #storm(): Promise<number> {
    const { time } = this.#home;
    const beganMs = time.nowMs;
    for (let second = 0; second < BAD_SECONDS && this.#account.violations.length === 0; second++)
      await this.#badSecond();
    await this.#heal();
    return time.nowMs - beganMs;
  }

  /** Nothing goes wrong for some minutes; then a storm of another kind is to come. */
  async #calm(): Promise<void> {
    const { random, air } = this.#home;
    const seconds = Math.min(CALM_SECONDS_MAX, CALM_SECONDS_MIN - CALM_SECONDS * Math.log(1 - random()));
    for (let second = 0; second < seconds && this.#account.violations.length === 0; second++) {
      this.#account.tidy(this.#any(), TIDIED_PER_SECOND);
      await this.#second(second < seconds - QUIET_SECONDS ? CALM_ASKS : 0);
    }
    this.#account.blame(...(await this.#disagreements()).map((why) => `${why}, after a calm spell`));
    this.#harm.menu = drawMenu(random);
    air.doubled = this.#harm.menu.doubled;
    this.#spare();
    this.#chooseHostile();
  }

  /** Identities for those that begin anew. */
  #spare(): void {
    const { wipes, hasFiles } = this.#harm.menu;
    if (wipes > 0 || hasFiles || this.#files.length > 0) this.#home.spare(SPARES);
  }

  #chooseHostile(): void {
    if (this.#harm.menu.garbage > 0 && this.#names.length > 3) this.#harm.hostile = this.#any();
  }

  end(): void {
    for (const name of this.#names) this.#home.kill(name);
    for (const files of this.#files) files.remove();
  }

  async #begin(): Promise<void> {
    const [home, menu] = [this.#home, this.#harm.menu];
    const [first = "a", ...others] = this.#names;
    await home.pair(first, ...others);
    this.#spare();
    if (menu.hasFiles) this.#files.push(await home.onFiles(this.#any()));
    for (const name of this.#names) if (home.random() < menu.newer) home.wire.newer.add(home.id(name));
    this.#chooseHostile();
    this.#harm.listen();
    home.air.doubled = menu.doubled;
    for (const name of this.#names) await this.#start(name);
    await home.time.pass(2000);
  }

  async #start(name: string): Promise<void> {
    const machine = this.#home.machine(name);
    machine.disk.watch = this.#account.watchOf(name, () => this.#harm.stall(name));
    await this.#home.start(name);
    this.#verdicts.started(name);
  }

  async #badSecond(): Promise<void> {
    const [home, menu] = [this.#home, this.#harm.menu];
    this.#harm.strike();
    for (const name of this.#names)
      if (!home.machine(name).node && this.#often(menu.restarts)) await this.#start(name);
    this.#rebirths.step();
    await this.#second(menu.asks);
  }

  /** `asks`: of each tenth of it, how often somebody asks for a change. */
  async #second(asks: number): Promise<void> {
    this.#account.checkHeld();
    for (let at = 0; at < 1000; at += STEP_MS) {
      if (asks > 0 && this.#often(asks)) this.#account.ask(this.#any());
      await this.#home.time.pass(STEP_MS);
      this.#verdicts.check();
    }
  }

  /** The weather is fair, all machines run again: they agree within 5 s of it, and of the last one that was let in. */
  async #heal(): Promise<void> {
    const home = this.#home;
    Object.assign(home.wire.weather, CALM);
    this.#verdicts.weather();
    this.#harm.mend();
    this.#harm.hostile = undefined;
    for (const name of this.#names) if (!home.machine(name).node) await this.#start(name);
    const wait = this.#rebirths.isUnderWay ? 3 * REST_MS : 0;
    for (let ms = 0; ms < wait && this.#rebirths.isUnderWay; ms += 1000) {
      this.#rebirths.step();
      await home.time.pass(1000);
    }
    if (this.#rebirths.isUnderWay) this.#account.blame("a machine that began anew is not let in");
    await home.time.pass(HEAL_MS);
    if (this.#account.violations.length > 0) return;
    // A worker's seat is given up a second after another was taken, and that a second after its new holder is linked with who leads.
    const early = (await this.#disagreements()).filter((why) => !why.endsWith(SEATED));
    await home.time.pass(REST_MS);
    const late = await this.#disagreements();
    await home.time.pass(ASKED_MS - HEAL_MS - REST_MS);
    this.#account.checkRest();
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

const SEATED = "vote, which is a worker";

/** What should not be so of a machine when all is well. */
const oddities = ({ state, role, voter, leader }: NodeView): string[] => [
  ...(state === "up" || state === "self" ? [] : [`as ${state}`]),
  ...(role === "worker" && (voter || leader) ? [SEATED] : []),
];
