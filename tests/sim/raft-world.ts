/**
 * Replicated logs of a few nodes on virtual time, with a network that loses, delays, doubles and reorders messages one by one: harder than
 * any stream is. What must hold is checked on the wire and on the disks, not by asking the code under test.
 */
import type { Persisted, RaftStore } from "#actors/runtime/raft/log";
import { Raft } from "#actors/runtime/raft/raft";
import { Trace } from "#actors/runtime/trace";
import type { NodeId } from "#protocol/ids";
import type { RaftConfig, RaftEntry, RaftMessage, RaftSnapshot } from "#protocol/raft";
import { seeded } from "./random.ts";
import { VirtualTime } from "./time.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

/** A disk that survives its process, and tells when a node breaks its word. */
export class RaftDisk implements RaftStore {
  term = 0;
  votedFor: NodeId | undefined;
  snapshot: RaftSnapshot;
  entries: RaftEntry[] = [];
  /** Of all its starts together. */
  readonly faults: string[] = [];

  /** The term of an entry that some node knows to be final. */
  readonly #finalTerm: (index: number) => number | undefined;

  constructor(config: RaftConfig, finalTerm: (index: number) => number | undefined) {
    this.#finalTerm = finalTerm;
    this.snapshot = { index: 0, term: 0, config, state: new Uint8Array() };
  }
  load(): Persisted {
    const { term, snapshot, entries, votedFor } = this;
    return { term, snapshot, entries: [...entries], ...(votedFor && { votedFor }) };
  }
  saveVote(term: number, votedFor: NodeId | undefined): void {
    if (term < this.term) this.faults.push(`a term went back from ${this.term} to ${term}`);
    this.term = term;
    this.votedFor = votedFor;
  }
  write(index: number, entries: readonly RaftEntry[]): void {
    const last = this.snapshot.index + this.entries.length;
    for (let at = index; at <= Math.max(last, index + entries.length - 1); at++) {
      const final = this.#finalTerm(at);
      const held = this.entries[at - this.snapshot.index - 1]?.term;
      if (final !== undefined && held === final && entries[at - index]?.term !== final)
        this.faults.push(`entry ${at} is final, and gives way to another`);
    }
    this.entries = [...this.entries.slice(0, index - this.snapshot.index - 1), ...entries];
  }
  compact(snapshot: RaftSnapshot, keepAfter: boolean): void {
    this.entries = keepAfter ? this.entries.slice(snapshot.index - this.snapshot.index) : [];
    this.snapshot = snapshot;
  }
}

export interface RaftFaults {
  loss: number;
  double: number;
  delayMs: number;
  /** Part of the messages that arrive seconds later, when all may have changed. */
  late: number;
  /** Part of the messages after which the sender's process ends at once, to start again soon; of votes that were given, ten times that. */
  crash: number;
}

const LATE_MS = 4000;
/** More messages in a second of virtual time are an argument without end. */
const MESSAGES_PER_SECOND_MAX = 50_000;

export class RaftWorld {
  readonly time = new VirtualTime();
  readonly random: () => number;
  readonly trace: Trace;
  readonly names: readonly NodeId[];
  readonly nodes = new Map<NodeId, Raft>();
  readonly disks = new Map<NodeId, RaftDisk>();
  readonly faults: RaftFaults = { loss: 0, double: 0, delayMs: 2, late: 0, crash: 0 };
  /** `from>to` that nothing passes. */
  readonly cut = new Set<string>();
  readonly violations: string[] = [];
  readonly confirmed: string[] = [];
  readonly #applied = new Map<NodeId, string[]>();
  readonly #leaders = new Map<number, NodeId>();
  /** Every command that some node applied, by its place. */
  readonly #final: string[] = [];
  /** By index, the term of each entry with a command that some node applied. */
  readonly #terms = new Map<number, number>();
  #asked = 0;
  #second = 0;
  #carried = 0;

  constructor(seed: number, size: number) {
    this.random = seeded(seed);
    this.trace = new Trace({ nowMs: () => this.time.nowMs, digest: true });
    this.names = [..."abcdefghi"].slice(0, size) as NodeId[];
    const config = { voters: [...this.names], learners: [] };
    for (const name of this.names)
      this.disks.set(name, new RaftDisk(config, (index) => this.#terms.get(index)));
    this.startAll();
  }

  startAll(): void {
    for (const name of this.names) if (!this.nodes.has(name)) this.start(name);
  }

  start(name: NodeId): void {
    const store = this.disks.get(name);
    if (!store) throw new Error(`${name} has no disk`);
    const log: string[] = [];
    this.#applied.set(name, log);
    const raft: Raft = new Raft(name, {
      clock: this.time.clock(this.random),
      // Few different timeouts, so that several stand for election at once.
      random: () => Math.floor(this.random() * 2) / 2,
      store,
      send: (to, message) => this.#send(name, raft, to, message),
      state: {
        apply: (command, { index, term }) => {
          this.#note(name, index, term);
          this.#apply(name, log, text(command));
        },
        snapshot: () => bytes(JSON.stringify(log)),
        restore: (state) => log.splice(0, log.length, ...(JSON.parse(text(state)) as string[])),
      },
      changed: () => {},
    });
    this.nodes.set(name, raft);
    this.trace.note("spawned", name, "", "");
    raft.start();
  }

  kill(name: NodeId): void {
    this.nodes.get(name)?.stop();
    this.nodes.delete(name);
    this.trace.note("ended", name, "", "");
  }

  /** Asks whoever believes to lead for `count` changes. */
  propose(count: number): void {
    for (const raft of [...this.nodes.values()].filter(({ role }) => role === "leader"))
      for (let i = 0; i < count; i++) {
        const command = `c${this.#asked++}`;
        raft.propose(bytes(command)).then(
          () => this.confirmed.push(command),
          () => {},
        );
      }
  }

  /** What must hold at any time; faults are kept, each once. */
  check(): void {
    for (const [name, { faults }] of this.disks)
      this.#blame(...faults.splice(0).map((fault) => `${name}: ${fault}`));
  }

  /** After the weather: all agree, and nothing that was confirmed is missing. */
  checkHealed(): void {
    const logs = [...this.#applied.values()];
    const longest = logs.toSorted((a, b) => b.length - a.length)[0] ?? [];
    const held = new Set(longest);
    for (const command of this.confirmed)
      if (!held.has(command)) this.#blame(`${command} was confirmed and is lost`);
    for (const [name, log] of this.#applied)
      if (log.length !== longest.length)
        this.#blame(`${name} has ${log.length} of ${longest.length} changes`);
  }

  #blame(...faults: readonly string[]): void {
    for (const fault of faults) if (!this.violations.includes(fault)) this.violations.push(fault);
  }

  /** An entry is final: it was the same one wherever it was. */
  #note(name: NodeId, index: number, term: number): void {
    const known = this.#terms.get(index);
    if (known !== undefined && known !== term)
      this.#blame(`${name} takes entry ${index} of term ${term} as final, which was of term ${known}`);
    this.#terms.set(index, term);
  }

  #apply(name: NodeId, log: string[], command: string): void {
    const first = this.#final[log.length];
    if (first === undefined) this.#final[log.length] = command;
    else if (first !== command) this.#blame(`${name} applies ${command} where ${first} was applied`);
    log.push(command);
  }

  #send(from: NodeId, sender: Raft, to: NodeId, message: RaftMessage): void {
    if (this.nodes.get(from) !== sender || !this.#mayCarry()) return;
    this.trace.note("sent", from, to, message.type);
    if (message.type === "Raft.Append") this.#noteLeader(from, message.term);
    for (let copies = this.random() < this.faults.double ? 2 : 1; copies > 0; copies--)
      if (this.random() >= this.faults.loss) this.#deliver(from, to, message);
    const isVote = message.type === "Raft.VoteReply" && message.granted && !message.pre;
    if (this.random() < this.faults.crash * (isVote ? 10 : 1)) this.#crash(from);
  }

  /** False when a second has had too many already: what is too much is lost, so that the run ends. */
  #mayCarry(): boolean {
    const second = Math.floor(this.time.nowMs / 1000);
    if (second !== this.#second) this.#carried = 0;
    this.#second = second;
    this.#carried += 1;
    if (this.#carried <= MESSAGES_PER_SECOND_MAX) return true;
    this.#blame(`more than ${MESSAGES_PER_SECOND_MAX} messages in a second`);
    return false;
  }

  #deliver(from: NodeId, to: NodeId, message: RaftMessage): void {
    const ms = this.random() < this.faults.late ? LATE_MS : this.faults.delayMs;
    this.time.after(this.random() * ms, () => {
      if (this.cut.has(`${from}>${to}`)) return;
      this.trace.note("handled", to, from, message.type);
      this.nodes.get(to)?.receive(from, message);
    });
  }

  /** At once, but after the handler that sends: a process ends between two messages, or its disk would not be whole. */
  #crash(name: NodeId): void {
    this.time.after(0, () => this.kill(name));
    this.time.after(this.random() * (this.random() < 0.5 ? 5 : 60), () => {
      if (!this.nodes.has(name)) this.start(name);
    });
  }

  #noteLeader(name: NodeId, term: number): void {
    const known = this.#leaders.get(term);
    if (known !== undefined && known !== name) this.#blame(`term ${term} has two leaders`);
    this.#leaders.set(term, name);
  }
}
