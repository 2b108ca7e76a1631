/** Homes of a few nodes in one process, on virtual time, with a network that loses, delays and cuts: all from one seed. */
import { describe, expect, test } from "bun:test";
import type { Persisted, RaftStore } from "#actors/runtime/raft/log";
import { Raft } from "#actors/runtime/raft/raft";
import type { NodeId } from "#protocol/ids";
import type { RaftConfig, RaftEntry, RaftMessage, RaftSnapshot } from "#protocol/raft";
import { seeded } from "./random.ts";
import { VirtualTime } from "./time.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

class MemoryStore implements RaftStore {
  term = 0;
  votedFor: NodeId | undefined;
  snapshot: RaftSnapshot;
  entries: RaftEntry[] = [];

  constructor(config: RaftConfig) {
    this.snapshot = { index: 0, term: 0, config, state: new Uint8Array() };
  }
  load(): Persisted {
    return {
      term: this.term,
      snapshot: this.snapshot,
      entries: this.entries,
      ...(this.votedFor && { votedFor: this.votedFor }),
    };
  }
  saveVote(term: number, votedFor: NodeId | undefined): void {
    this.term = term;
    this.votedFor = votedFor;
  }
  write(index: number, entries: readonly RaftEntry[]): void {
    this.entries = [...this.entries.slice(0, index - this.snapshot.index - 1), ...entries];
  }
  compact(snapshot: RaftSnapshot, keepAfter: boolean): void {
    this.entries = keepAfter ? this.entries.slice(snapshot.index - this.snapshot.index) : [];
    this.snapshot = snapshot;
  }
}

interface Weather {
  readonly loss: number;
  readonly delayMs: number;
}

class Home {
  readonly time = new VirtualTime();
  readonly nodes = new Map<NodeId, Raft>();
  readonly applied = new Map<NodeId, string[]>();
  readonly leaders = new Map<number, NodeId>();
  readonly faults: string[] = [];
  readonly stores = new Map<NodeId, MemoryStore>();
  readonly random: () => number;
  weather: Weather = { loss: 0, delayMs: 2 };
  readonly cut = new Set<NodeId>();

  constructor(seed: number, voters: readonly NodeId[]) {
    this.random = seeded(seed);
    const config = { voters: [...voters], learners: [] };
    for (const node of voters) {
      this.stores.set(node, new MemoryStore(config));
      this.boot(node);
    }
  }

  boot(node: NodeId): void {
    const store = this.stores.get(node);
    if (!store) throw new Error(`${node} has no disk`);
    const log: string[] = [];
    this.applied.set(node, log);
    const raft: Raft = new Raft(node, {
      clock: this.time.clock(this.random),
      random: this.random,
      store,
      send: (to, message) => this.#deliver(node, to, message),
      state: {
        apply: (command) => log.push(text(command)),
        snapshot: () => bytes(JSON.stringify(log)),
        restore: (state) => log.splice(0, log.length, ...(JSON.parse(text(state)) as string[])),
      },
      changed: () => this.nodes.get(node) === raft && this.#noteLeader(node, raft),
    });
    this.nodes.set(node, raft);
    raft.start();
    this.#noteLeader(node, raft);
  }

  bootAll(names: readonly NodeId[]): void {
    for (const name of names) if (!this.nodes.has(name)) this.boot(name);
  }

  #asked = 0;

  proposeToLeaders(confirmed: string[]): void {
    const command = `c${this.#asked++}`;
    for (const raft of this.nodes.values()) {
      if (raft.role !== "leader") continue;
      raft.propose(bytes(command)).then(
        () => confirmed.push(command),
        () => {},
      );
    }
  }

  kill(node: NodeId): void {
    this.nodes.get(node)?.stop();
    this.nodes.delete(node);
  }

  get leader(): Raft | undefined {
    return [...this.nodes.values()]
      .filter((raft) => raft.role === "leader")
      .toSorted((a, b) => b.term - a.term)[0];
  }

  #noteLeader(node: NodeId, raft: Raft): void {
    if (raft.role !== "leader") return;
    const known = this.leaders.get(raft.term);
    if (known && known !== node) this.faults.push(`term ${raft.term} has two leaders`);
    this.leaders.set(raft.term, node);
  }

  #deliver(from: NodeId, to: NodeId, message: RaftMessage): void {
    if (this.random() < this.weather.loss) return;
    const copies = this.random() < this.weather.loss / 2 ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      this.time.after(this.random() * this.weather.delayMs, () => {
        if (this.cut.has(from) !== this.cut.has(to)) return;
        this.nodes.get(to)?.receive(from, structuredClone(message));
      });
    }
  }
}

/** Whether every list is a beginning of the longest. */
const agree = (lists: Iterable<readonly string[]>): boolean => {
  const all = [...lists];
  const longest = all.toSorted((a, b) => b.length - a.length)[0] ?? [];
  return all.every((list) => list.every((item, i) => item === longest[i]));
};

/** A second of bad weather: somebody is cut off, killed or started, and whoever leads is asked for changes. */
async function badSecond(home: Home, names: readonly NodeId[], confirmed: string[]): Promise<void> {
  home.weather = { loss: home.random() * 0.3, delayMs: 5 + home.random() * 200 };
  const victim = names[Math.floor(home.random() * names.length)] as NodeId;
  if (home.random() < 0.15) home.cut.add(victim);
  if (home.random() < 0.2) home.cut.clear();
  if (home.random() < 0.1) home.kill(victim);
  if (home.random() < 0.3) home.bootAll(names);
  for (let i = 0; i < 12; i++) {
    home.proposeToLeaders(confirmed);
    await home.time.pass(80);
    if (!agree(home.applied.values())) home.faults.push(`at ${home.time.nowMs} ms applied commands differ`);
  }
}

async function storm(seed: number, names: readonly NodeId[]) {
  const home = new Home(seed, names);
  const confirmed: string[] = [];
  for (let second = 0; second < 120; second++) await badSecond(home, names, confirmed);
  home.weather = { loss: 0, delayMs: 5 };
  home.cut.clear();
  home.bootAll(names);
  await home.time.pass(8000);
  const final = home.applied.get(home.leader?.self ?? ("" as NodeId)) ?? [];
  const lost = confirmed.filter((command) => !final.includes(command));
  const behind = names.filter((name) => home.applied.get(name)?.length !== final.length);
  return { seed, faults: home.faults, lost, behind, few: confirmed.length < 20 };
}

describe("a replicated log", () => {
  test("has a change in force on all nodes as soon as messages go, not with the next beat of who leads", async () => {
    const home = new Home(1, ["a", "b", "c"] as NodeId[]);
    await home.time.pass(3000);
    const confirmed: string[] = [];
    const seen: number[][] = [];
    for (let change = 0; change < 5; change++) {
      home.proposeToLeaders(confirmed);
      // There, back, and there again, each of 2 ms at the most.
      await home.time.pass(7);
      seen.push([confirmed, ...home.applied.values()].map(({ length }) => length));
      await home.time.pass(40);
    }
    expect(seen).toEqual([1, 2, 3, 4, 5].map((count) => Array(4).fill(count)));
  });

  test("T33 keeps every confirmed change through losses, cuts, crashes and restarts, and all agree after", async () => {
    const [three, five] = [["a", "b", "c"] as NodeId[], ["a", "b", "c", "d", "e"] as NodeId[]];
    const outcomes = [];
    for (let seed = 1; seed <= 40; seed++) outcomes.push(await storm(seed, seed % 2 ? three : five));
    expect(
      outcomes.filter(
        ({ faults, lost, behind, few }) => faults.length + lost.length + behind.length > 0 || few,
      ),
    ).toEqual([]);
  });
});
