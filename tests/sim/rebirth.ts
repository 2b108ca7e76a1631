/**
 * A machine that lost its disk, or whose store is damaged, begins anew and is let in again, as its user would have it; so is one that
 * runs and was forgotten.
 */

import type { ClusterNode } from "#actors/supervisor/cluster/cluster-node";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { RaftConfig } from "#protocol/raft";
import type { Account } from "./account.ts";
import type { MemoryDisk } from "./disk.ts";
import type { SimulatedHome } from "./home.ts";
import type { Verdicts } from "./verdicts.ts";

/** Who has the cluster's key besides: with fewer, the loss of one more disk would end the home. */
const KEEPERS_MIN = 2;

/** Who was asked may have ended: then another is. */
const PATIENCE_MS = 15_000;

/**
 * A change is asked for anew for 10 s, and one that takes the home's key from somebody is waited for 32 s each time, also where its question
 * was lost with a link: nobody who asked in the storm waits longer.
 */
export const ASKED_MS = 42_000;

type Stage = "leaving" | "alone" | "admitting" | "in" | "forgetting";

interface Rebirth {
  readonly name: string;
  readonly before: NodeId;
  stage: Stage;
  askedMs: number;
  /** Until its user is answered whether it is forgotten, and does not let it in again: either might come last. */
  answerMs?: number;
}

export class Rebirths {
  readonly #home: SimulatedHome;
  readonly #account: Account;
  readonly #verdicts: Verdicts;
  #under: Rebirth | undefined;

  constructor(home: SimulatedHome, account: Account, verdicts: Verdicts) {
    this.#home = home;
    this.#account = account;
    this.#verdicts = verdicts;
  }

  /** Who alone may change the home by now is sent away by nobody. */
  get isUnderWay(): boolean {
    const under = this.#under;
    return under !== undefined && (under.stage !== "leaving" || this.#keeper(under.name) !== undefined);
  }

  /** One disk at a time, and only while a majority of the others is whole: what then is lost was promised to nobody. */
  isSafe(name: string): boolean {
    if (this.#under || this.#home.machine(name).spares.length === 0) return false;
    const others = [...this.#home.machines.values()].filter(
      (machine) => machine.name !== name && machine.node && this.#home.isIn(machine.name),
    );
    return (
      others.filter(({ node }) => node?.mayAdmit).length >= KEEPERS_MIN &&
      this.#areVotersWhole(this.#home.id(name))
    );
  }

  /** Its user takes it off the list, wherever it is then, and lets it in again once it knows. */
  sendAway(name: string): void {
    if (this.#under || !this.#keeper(name) || !this.#home.isIn(name)) return;
    this.#under = { name, before: this.#home.id(name), stage: "leaving", askedMs: 0 };
  }

  begin(name: string): void {
    const before = this.#home.id(name);
    if (this.#home.wipe(name)) this.#under = { name, before, stage: "alone", askedMs: 0 };
  }

  /** What its user does next; to be called once a second. */
  step(): void {
    const under = this.#under;
    const node = under && this.#home.machine(under.name).node;
    if (!under || !node) return;
    const isOverdue = this.#home.time.nowMs - under.askedMs > PATIENCE_MS;
    if (under.stage === "admitting" && isOverdue) under.stage = "alone";
    if (under.stage === "forgetting" && isOverdue) under.stage = "in";
    const isAnswered = this.#home.time.nowMs >= (under.answerMs ?? 0);
    if (under.stage === "leaving" && isAnswered) this.#leave(under, isOverdue);
    if (under.stage === "alone" && this.#home.isIn(under.name)) this.#cameIn(under);
    if (under.stage === "alone") this.#rescue(under);
    if (under.stage === "alone") this.#admit(under);
    else if (under.stage === "in") this.#forget(under);
  }

  #leave(under: Rebirth, isOverdue: boolean): void {
    if (!this.#home.isIn(under.name)) under.stage = "alone";
    else if (isOverdue) this.#dismiss(under);
  }

  /**
   * Nobody counts on the vote of one that is no more, and those that are left are a majority without this one: of two that vote, as they
   * do for a moment while another takes a seat, the loss of one disk is what takeover is for.
   */
  #areVotersWhole(lost: NodeId): boolean {
    const machines = [...this.#home.machines.values()];
    const ids = new Set(machines.map(({ identity }) => identity.node));
    return machines.every(({ disk }) => {
      const { voters } = configOn(disk);
      const left = voters.filter((node) => node !== lost);
      return left.length * 2 > voters.length && left.every((node) => ids.has(node));
    });
  }

  /**
   * The disk was lost in the very moment in which its machine was to become the second that votes: no look before could know. The other
   * one's user goes on without it.
   */
  #rescue({ name, before }: Rebirth): void {
    if (before === this.#home.id(name)) return;
    for (const { identity, disk, node } of this.#home.machines.values()) {
      const { voters } = configOn(disk);
      const isLeft = voters.length === 2 && voters.includes(before) && voters.includes(identity.node);
      if (isLeft && node?.mayAdmit) takenOver(node);
    }
  }

  #admit(under: Rebirth): void {
    const { name } = under;
    const inviter = this.#home.random() < 0.5 ? undefined : this.#keeper(name);
    if (!inviter?.node) return;
    Object.assign(under, { stage: "admitting", askedMs: this.#home.time.nowMs });
    const { key: publicKey, role } = this.#home.admission(name);
    inviter.node
      .admit({ publicKey, name, addresses: [], ...(role && { role }) })
      .then(async (record) => {
        const joiner = this.#home.machine(name).node;
        if (!joiner) throw new Problem("unavailable", "not yet");
        if (under.stage !== "admitting") return; // Another asked as well, and was sooner.
        await joiner.adopt(record);
        this.#cameIn(under);
      })
      .catch((error: unknown) => {
        if (!(error instanceof Problem)) throw error;
        if (under.stage === "admitting") under.stage = "alone";
      });
  }

  #cameIn(under: Rebirth): void {
    this.#verdicts.cameIn(under.name);
    under.stage = "in";
    if (under.before === this.#home.id(under.name)) this.#end();
  }

  #end(): void {
    this.#under = undefined;
  }

  /** It may never be confirmed, and have happened all the same: then the machine is told so. */
  #dismiss(under: Rebirth): void {
    const asked = this.#keeper(under.name)?.node;
    if (!asked) return;
    const { nowMs } = this.#home.time;
    // Whoever was asked may have ended.
    Object.assign(under, { askedMs: nowMs, answerMs: nowMs + ASKED_MS });
    this.#account.forgot(under.before);
    asked
      .change({ type: "forget", node: under.before })
      .catch((error: unknown) => {
        if (!(error instanceof Problem)) throw error;
      })
      .finally(() => {
        under.answerMs = 0;
      });
  }

  #forget(under: Rebirth): void {
    const asked = this.#keeper(under.name)?.node;
    if (!asked) return;
    Object.assign(under, { stage: "forgetting", askedMs: this.#home.time.nowMs });
    asked.change({ type: "forget", node: under.before }).then(
      () => {
        this.#account.forgot(under.before);
        this.#end();
      },
      (error: unknown) => {
        if (!(error instanceof Problem)) throw error;
        if (error.kind === "notFound") this.#end();
        else under.stage = "in";
      },
    );
  }

  #keeper(except: string) {
    const keepers = [...this.#home.machines.values()].filter(
      ({ name, node }) => name !== except && node?.mayAdmit === true && this.#home.isIn(name),
    );
    return keepers[Math.floor(this.#home.random() * keepers.length)];
  }
}

function takenOver(node: ClusterNode): void {
  try {
    node.takeOver();
  } catch (error) {
    if (!(error instanceof Problem)) throw error; // The lost one is not missed yet: its user tries again.
  }
}

/** Who votes, as far as the machine with this disk was told. */
function configOn(disk: MemoryDisk): RaftConfig {
  const { snapshot, entries } = disk.load();
  return entries.findLast((entry) => entry.config)?.config ?? snapshot.config;
}
