/** A storm's own account of what should never be, by the numbers of reliability.md 5.1, and of what was confirmed. */
import type { Envelope } from "#protocol/codec";
import type { NodeId } from "#protocol/ids";
import type { Raft } from "#protocol/raft";
import type { DiskWatch } from "./disk.ts";
import type { SimulatedHome } from "./home.ts";

type Append = ReturnType<(typeof Raft)["Append"]>;

/** Of all nodes together; a calm home of 20 says about 2000. */
const MESSAGES_PER_SECOND_MAX = 20_000;
/** What a node may hold at once: far above what a home of 20 needs, far below what grows without end. */
const HELD_MAX = 2048;
/** Appears in what users set; nothing that is written for people may have it. */
export const CANARY = "canary7c1e";

/** As numbers in lists and objects, in hex, and in base64 from each of three places. */
function disguised(text: string): string[] {
  const bytes = Buffer.from(text);
  const inner = (shift: number) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString("base64")
      .slice(shift + 1, -4);
  return [[...bytes].join(), bytes.toString("hex"), inner(0), inner(1), inner(2)];
}

export class Account {
  readonly violations: string[] = [];
  /** What must be there for ever, or until it is taken back. */
  readonly confirmed: string[] = [];
  /** Confirmed since the start, what was taken back as well. */
  changes = 0;
  /** Asked for, and there or not by its answer: a home has room for so many. */
  readonly #keys: string[] = [];
  readonly #home: SimulatedHome;
  readonly #leaders = new Map<number, NodeId>();
  /** By index, the term of each entry that who leads said to be final. */
  readonly #final = new Map<number, number>();
  /** Machines that were taken off the list, all of whose links a second after must be closed where that is known. */
  readonly #forgotten = new Set<NodeId>();
  #asked = 0;
  #second = 0;
  #carried = 0;

  constructor(home: SimulatedHome) {
    this.#home = home;
    home.wire.heard = (from, { message }) => {
      if (message.type === "Raft.Append") this.#noteAppend(from, message as Append);
      return this.#mayCarry(home.time.nowMs, message.type);
    };
    home.wire.taken = (by, from, envelope) => {
      if (this.#forgotten.size > 0 && this.#forgotten.has(from)) this.#checkMember(by, from, envelope);
    };
  }

  blame(...faults: readonly string[]): void {
    for (const fault of faults) if (!this.violations.includes(fault)) this.violations.push(fault);
  }

  /** 5, 7: of one machine's disk. */
  watchOf(name: string, synced: () => void): DiskWatch {
    return {
      finalTerm: (index) => this.#final.get(index),
      fault: (why) => this.blame(`${name}: ${why}`),
      synced,
    };
  }

  forgot(node: NodeId): void {
    this.#forgotten.add(node);
  }

  /** Asks some machine for a change, and remembers it once it is confirmed. */
  ask(name: string): void {
    const key = `k${this.#asked++}`;
    const node = this.#home.isIn(name) ? this.#home.machine(name).node : undefined;
    const asked = node?.set(key, CANARY).then(
      () => {
        this.changes += 1;
        this.confirmed.push(key);
      },
      () => {},
    );
    void asked?.then(() => this.#keys.push(key));
  }

  /** Asks some machine to take some of it back, and counts on that no more: a home that lives long has room again. */
  tidy(name: string, most: number): void {
    const node = this.#home.isIn(name) ? this.#home.machine(name).node : undefined;
    for (const key of node ? this.#keys.splice(0, most) : []) {
      const at = this.confirmed.indexOf(key);
      if (at >= 0) this.confirmed.splice(at, 1);
      node?.set(key).catch(() => this.#keys.push(key));
    }
  }

  /** 15: looked at once a second. */
  checkHeld(): void {
    for (const { name, node, system } of this.#home.machines.values()) {
      if (!node || !system) continue;
      const { questions, watches } = system.held;
      if (questions > HELD_MAX || watches > HELD_MAX)
        this.blame(`${name} holds ${questions} questions and ${watches} watches`);
      for (const actor of ["raft", "cluster", "discovery"]) {
        const waiting = system.counts(system.address(actor))?.waiting ?? 0;
        if (waiting > HELD_MAX) this.blame(`${name}: ${waiting} messages wait for ${actor}`);
      }
    }
  }

  /** 15: long after anybody asked for anything, and after the last storm: what is held now is held for ever. */
  checkRest(): void {
    for (const { name, node, system } of this.#home.machines.values()) {
      if (!node || !system) continue;
      const { questions, watches } = system.held;
      if (questions + watches > 0)
        this.blame(`${name} still holds ${questions} questions and ${watches} watches, long after the last`);
    }
  }

  /** 20: what is written for people has nothing of what is secret, in no form that a careless line would give it. */
  checkSaid(): void {
    const secrets = [CANARY, "PRIVATE KEY", ...disguised(CANARY)];
    const plain = (text: string) => text.replaceAll(/"\d+":/g, "");
    const said = [...this.#home.troubles.map(plain), ...this.#home.trace.entries.map(({ what }) => what)];
    for (const text of new Set(said))
      for (const secret of secrets) if (text.includes(secret)) this.blame(`a log has a secret: ${text}`);
  }

  /** 8, 19: nobody acts on what one says who is on its list no more. */
  #checkMember(by: NodeId, from: NodeId, { message }: Envelope): void {
    for (const { name, identity, node } of this.#home.machines.values())
      if (identity.node === by && node && !node.isMember(from))
        this.blame(`${name} takes ${message.type} of a machine that is off its list`);
  }

  /** 6, 7: one leads a term, and what it says to be final stays so. */
  #noteAppend(from: NodeId, { term, prevIndex, prevTerm, entries, commit }: Append): void {
    const known = this.#leaders.get(term);
    if (known === undefined) this.#leaders.set(term, from);
    else if (known !== from) this.blame(`term ${term} has two leaders`);
    if (prevIndex <= commit) this.#noteFinal(prevIndex, prevTerm);
    for (let i = 0; i < entries.length && prevIndex + 1 + i <= commit; i++)
      this.#noteFinal(prevIndex + 1 + i, entries[i]?.term ?? 0);
  }

  #noteFinal(index: number, term: number): void {
    const known = this.#final.get(index);
    if (known === undefined) this.#final.set(index, term);
    else if (known !== term) this.blame(`entry ${index} is final with term ${known}, and with ${term}`);
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
}
