/** One node's part in a replicated log; every message is handled to its end before the next. protocol/raft.ts has the sources. */
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { Raft as Message, type RaftConfig, type RaftEntry, type RaftMessage } from "#protocol/raft";
import { grants, isQuestion, request } from "./election.ts";
import { Final } from "./final.ts";
import { takeEntries, takeSnapshot } from "./following.ts";
import { RaftLog } from "./log.ts";
import { ELECTION_MIN_MS, electionMs, HEARTBEAT_MS, type RaftPorts, type Role, TAKEOVER } from "./ports.ts";
import { doesNotLead, type Epoch, Proposals } from "./proposals.ts";
import { Replication } from "./replication.ts";

type Of<Kind extends keyof typeof Message> = ReturnType<(typeof Message)[Kind]>;

export class Raft {
  readonly self: NodeId;
  readonly #ports: RaftPorts;
  readonly #log: RaftLog;
  readonly #proposals: Proposals;
  readonly #final: Final;
  #role: Role = "follower";
  #term: number;
  #votedFor: NodeId | undefined;
  #leader: NodeId | undefined;
  #leaderHeardMs = Number.NEGATIVE_INFINITY;
  #votes = new Set<NodeId>();
  /** There only while this node leads. */
  #replication: Replication | undefined;
  #cancelTimer = () => {};

  constructor(self: NodeId, ports: RaftPorts) {
    const persisted = ports.store.load();
    this.self = self;
    this.#ports = ports;
    this.#log = new RaftLog(ports.store, persisted);
    this.#term = persisted.term;
    this.#votedFor = persisted.votedFor;
    this.#proposals = new Proposals(ports.clock);
    this.#final = new Final(this.#log, ports.state, this.#proposals);
  }

  get role(): Role {
    return this.#role;
  }
  get term(): number {
    return this.#term;
  }
  get leader(): NodeId | undefined {
    return this.#leader;
  }
  get config(): RaftConfig {
    return this.#log.config;
  }
  /** The last entry that is known to be final. */
  get committed(): number {
    return this.#final.index;
  }

  /** Whether this node leads and that one holds the entry, or else what was final when this one spoke to it last. */
  hasTaught(node: NodeId, index?: number): boolean {
    return this.#replication?.hasTaught(node, index) ?? false;
  }

  start(): void {
    if (this.#isVoter() && this.config.voters.length === 1) this.#campaign();
    else this.#awaitLeader();
  }

  stop(): void {
    this.#cancelTimer();
    this.#proposals.abandon("this node stops");
  }

  /**
   * Resolves once a majority holds the command and it is applied here; rejects when this node does not lead, or no more. Without one:
   * this node did lead when it was asked, and knows all that was final by then (section 8 of the paper).
   */
  propose(command?: Uint8Array): Promise<Epoch> {
    return this.#submit({ term: this.#term, ...(command && { command }) });
  }

  /** Changes who votes, one voter at a time; rejects while the change before is not final. */
  configure(config: RaftConfig): Promise<Epoch> {
    const changed = new Set(config.voters).symmetricDifference(new Set(this.config.voters)).size;
    if (changed > 1) return Promise.reject(new Problem("invalid", `${changed} voters at once: change one`));
    if (this.#final.config !== this.config)
      return Promise.reject(new Problem("overloaded", "the last change of voters is not final yet"));
    return this.#submit({ term: this.#term, config });
  }

  /**
   * Leads without a majority, when its user says that the voters are gone for good. One that comes back after all takes this
   * node's history as a whole; what only it had committed is lost.
   */
  takeOver(): void {
    const learners = [...this.config.voters, ...this.config.learners].filter((node) => node !== this.self);
    this.#become("leader", this.#term + TAKEOVER, this.self);
    this.#votedFor = this.self;
    this.#ports.store.saveVote(this.#term, this.self);
    this.#final.restart(this.#term, { voters: [this.self], learners });
    this.#log.append({ term: this.#term });
    this.#lead();
  }

  /** Hands leadership to the voter that is furthest, of those that may lead, before this node leaves. */
  resign(mayLead: (node: NodeId) => boolean = () => true): void {
    const others = this.config.voters.filter((node) => node !== this.self && mayLead(node));
    const next = this.#replication?.furthest(others);
    if (next) this.#ports.send(next, Message.Stand({ term: this.#term }));
  }

  /** It is known to have ended: where it led, nobody waits until it is missed. Whoever still hears it gives no vote to another. */
  ended(node: NodeId): void {
    if (node !== this.#leader || this.#leaderHeardMs === Number.NEGATIVE_INFINITY) return;
    this.#leaderHeardMs = Number.NEGATIVE_INFINITY;
    this.#awaitLeader(true);
  }

  receive(from: NodeId, message: RaftMessage): void {
    // Of who has no vote: nobody asked for it, and it may not end this node's term.
    if (message.type === "Raft.VoteReply" && !this.config.voters.includes(from)) return;
    if (message.term > this.#term && !isQuestion(message)) this.#become("follower", message.term, undefined);
    if (message.type === "Raft.Vote") this.#onVote(from, message);
    else if (message.type === "Raft.VoteReply") this.#onVoteReply(from, message);
    else if (message.type === "Raft.Append") this.#onAppend(from, message);
    else if (message.type === "Raft.AppendReply") this.#onAppendReply(from, message);
    else if (message.type === "Raft.Install") this.#onInstall(from, message);
    else if (message.term === this.#term && this.#isVoter()) this.#campaign();
  }

  #onVote(from: NodeId, vote: Of<"Vote">): void {
    const content =
      this.#role === "leader" || this.#ports.clock.nowMs() - this.#leaderHeardMs < ELECTION_MIN_MS;
    const granted =
      !this.#isNew &&
      grants(vote, from, { term: this.#term, votedFor: this.#votedFor, log: this.#log, content });
    if (granted && !vote.pre) {
      this.#votedFor = from;
      this.#ports.store.saveVote(this.#term, from);
      this.#awaitLeader();
    }
    const term = granted ? vote.term : this.#term;
    this.#ports.send(from, Message.VoteReply({ term, granted, pre: vote.pre }));
  }

  #onVoteReply(from: NodeId, { term, granted, pre }: Of<"VoteReply">): void {
    const awaited = pre
      ? this.#role === "asking" && term === this.#term + 1
      : this.#role === "candidate" && term === this.#term;
    if (!granted || !awaited) return;
    this.#votes.add(from);
    this.#countVotes();
  }

  #onAppend(from: NodeId, message: Of<"Append">): void {
    if (this.#refuses(from, message.term)) return;
    const config = this.config;
    const { ok, index } = takeEntries(this.#log, this.#final, message);
    if (config !== this.config) this.#ports.changed();
    this.#answer(from, ok, index);
  }

  #onAppendReply(from: NodeId, { term, ok, index }: Of<"AppendReply">): void {
    if (!this.#replication || term !== this.#term) return;
    const more = this.#replication.heard(from, ok, index);
    if (!this.#commitMajority() && more) this.#replication?.feed(from, this.#final.index);
  }

  #onInstall(from: NodeId, message: Of<"Install">): void {
    if (this.#refuses(from, message.term)) return;
    const { ok, index } = takeSnapshot(this.#final, message);
    this.#ports.changed();
    this.#answer(from, ok, index);
  }

  /** Tells a leader of the past that its time is over; who leads now is followed. */
  #refuses(from: NodeId, term: number): boolean {
    if (term < this.#term) {
      this.#answer(from, false, this.#log.lastIndex);
      return true;
    }
    this.#leaderHeardMs = this.#ports.clock.nowMs();
    if (this.#role !== "follower" || this.#leader !== from) this.#become("follower", this.#term, from);
    this.#awaitLeader();
    return false;
  }

  #answer(to: NodeId, ok: boolean, index: number): void {
    this.#ports.send(to, Message.AppendReply({ term: this.#term, ok, index }));
  }

  #submit(entry: RaftEntry): Promise<Epoch> {
    const refusal = this.#replication ? this.#proposals.refusal : doesNotLead();
    if (refusal) return Promise.reject(refusal);
    this.#log.append(entry);
    const final = this.#proposals.await(entry.term, this.#log.lastIndex);
    if (entry.config) this.#ports.changed();
    this.#feedAll();
    this.#commitMajority();
    return final;
  }

  #feedAll(how: "feed" | "tell" = "feed"): void {
    for (const node of [...this.config.voters, ...this.config.learners])
      if (node !== this.self) this.#replication?.[how](node, this.#final.index);
  }

  /** Only an entry of the leader's own term commits by counting (section 5.4.2 of the paper), with those before it. All hear of it at once: true. */
  #commitMajority(): boolean {
    const index = this.#replication?.majorityMatch(this.config.voters, this.self) ?? 0;
    if (index <= this.#final.index || this.#log.termAt(index) !== this.#term) return false;
    this.#final.advance(index);
    // A leader that voted itself out leads until that is final.
    const left = this.#replication && !this.#isVoter() && this.#final.config === this.config;
    this.#feedAll("tell");
    if (left) this.#become("follower", this.#term, undefined);
    return true;
  }

  #become(role: Role, term: number, leader: NodeId | undefined): void {
    if (term !== this.#term) {
      this.#votedFor = undefined;
      this.#ports.store.saveVote(term, undefined);
    }
    this.#role = role;
    this.#term = term;
    this.#leader = leader;
    this.#votes = new Set([this.self]);
    this.#replication = undefined;
    if (role !== "leader") this.#awaitLeader();
    this.#ports.changed();
  }

  /** Asks whether an election could be won before it disturbs anybody with a new term. */
  #askAround(): void {
    this.#become("asking", this.#term, undefined);
    this.#toVoters(request(this.#term + 1, this.#log, true));
    this.#countVotes();
  }

  #campaign(): void {
    this.#become("candidate", this.#term + 1, undefined);
    this.#votedFor = this.self;
    this.#ports.store.saveVote(this.#term, this.self);
    this.#toVoters(request(this.#term, this.#log, false));
    this.#countVotes();
  }

  #toVoters(message: RaftMessage): void {
    for (const node of this.config.voters) if (node !== this.self) this.#ports.send(node, message);
  }

  #countVotes(): void {
    if (this.#votes.size * 2 <= this.config.voters.length) return;
    if (this.#role === "asking") this.#campaign();
    else {
      this.#become("leader", this.#term, this.self);
      this.#log.append({ term: this.#term });
      this.#lead();
    }
  }

  #lead(): void {
    this.#replication = new Replication(this.#term, this.#log, this.#ports.clock, this.#ports.send);
    this.#commitMajority();
    this.#beat();
  }

  /** Says that it leads, and stops saying so when too few answer: another may lead them by now. */
  #beat(): void {
    if (this.#replication?.majorityHeard(this.config.voters, this.self, ELECTION_MIN_MS)) {
      this.#feedAll();
      this.#setTimer(HEARTBEAT_MS, () => this.#beat());
    } else this.#become("follower", this.#term, undefined);
  }

  #awaitLeader(hasEnded = false): void {
    this.#setTimer(electionMs(this.#ports.random, hasEnded), () =>
      this.#isVoter() ? this.#askAround() : this.#become("follower", this.#term, undefined),
    );
  }

  #setTimer(ms: number, run: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#ports.clock.after(ms, run);
  }

  #isVoter(): boolean {
    return !this.#isNew && this.config.voters.includes(this.self);
  }

  get #isNew(): boolean {
    return this.#log.lastIndex < (this.#ports.since ?? 0);
  }
}
