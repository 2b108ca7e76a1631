/** A machine that lost its disk, or whose store is damaged, begins anew and is let in again, as its user would have it. */

import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { Account } from "./account.ts";
import type { SimulatedHome } from "./home.ts";

/** Who has the cluster's key besides: with fewer, the loss of one more disk would end the home. */
const KEEPERS_MIN = 2;

/** Who was asked may have ended: then another is. */
const PATIENCE_MS = 15_000;

type Stage = "alone" | "admitting" | "in" | "forgetting";

interface Rebirth {
  readonly name: string;
  readonly before: NodeId;
  readonly nodePem: string;
  stage: Stage;
  askedMs: number;
}

export class Rebirths {
  readonly #home: SimulatedHome;
  readonly #account: Account;
  #under: Rebirth | undefined;

  constructor(home: SimulatedHome, account: Account) {
    this.#home = home;
    this.#account = account;
  }

  get isUnderWay(): boolean {
    return this.#under !== undefined;
  }

  /** One disk at a time, and only while a majority of the others is whole: what then is lost was promised to nobody. */
  isSafe(name: string): boolean {
    if (this.#under || this.#home.machine(name).spares.length === 0) return false;
    const others = [...this.#home.machines.values()].filter(
      (machine) => machine.name !== name && machine.node,
    );
    return others.filter(({ node }) => node?.mayAdmit).length >= KEEPERS_MIN && this.#areVotersWhole();
  }

  begin(name: string): void {
    const before = this.#home.id(name);
    const spare = this.#home.wipe(name);
    if (spare) this.#under = { name, before, nodePem: spare.nodePem, stage: "alone", askedMs: 0 };
  }

  /** What its user does next; to be called once a second. */
  step(): void {
    const under = this.#under;
    const node = under && this.#home.machine(under.name).node;
    if (!under || !node) return;
    const isOverdue = this.#home.time.nowMs - under.askedMs > PATIENCE_MS;
    if (under.stage === "admitting" && isOverdue) under.stage = "alone";
    if (under.stage === "forgetting" && isOverdue) under.stage = "in";
    if (under.stage === "alone") this.#admit(under);
    else if (under.stage === "in") this.#forget(under);
  }

  /** Nobody counts on the vote of one that is no more. */
  #areVotersWhole(): boolean {
    const machines = [...this.#home.machines.values()];
    const ids = new Set(machines.map(({ identity }) => identity.node));
    return machines.every(({ disk }) => {
      const { snapshot, entries } = disk.load();
      const config = entries.findLast((entry) => entry.config)?.config ?? snapshot.config;
      return config.voters.every((node) => ids.has(node));
    });
  }

  #admit(under: Rebirth): void {
    const { name, nodePem } = under;
    const { identity } = this.#home.machine(name);
    const inviter = this.#home.random() < 0.5 ? undefined : this.#keeper(name);
    if (!inviter?.node) return;
    Object.assign(under, { stage: "admitting", askedMs: this.#home.time.nowMs });
    const admitted = inviter.node.change(this.#home.admission(name));
    admitted
      .then(async () => {
        const { record } = inviter.disk;
        const joiner = this.#home.machine(name).node;
        const isListed = record?.members.members.some((member) => member.node === identity.node);
        if (!record || !joiner || !isListed) throw new Problem("unavailable", "not yet");
        const { clusterKeyBox: _, ...shared } = record;
        await joiner.adopt({ ...shared, nodePem });
        under.stage = "in";
      })
      .catch((error: unknown) => {
        if (!(error instanceof Problem)) throw error;
        under.stage = "alone";
      });
  }

  #forget(under: Rebirth): void {
    const asked = this.#keeper(under.name)?.node;
    if (!asked) return;
    Object.assign(under, { stage: "forgetting", askedMs: this.#home.time.nowMs });
    asked.change({ type: "forget", node: under.before }).then(
      () => {
        this.#account.forgot(under.before);
        this.#under = undefined;
      },
      (error: unknown) => {
        if (!(error instanceof Problem)) throw error;
        if (error.kind === "notFound") this.#under = undefined;
        else under.stage = "in";
      },
    );
  }

  #keeper(except: string) {
    const keepers = [...this.#home.machines.values()].filter(
      ({ name, node }) => name !== except && node?.mayAdmit === true,
    );
    return keepers[Math.floor(this.#home.random() * keepers.length)];
  }
}
