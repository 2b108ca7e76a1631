/** The ground actors stand on: names, mailboxes, questions with a deadline, watches, and links to other processes. */
import type { Envelope } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { Problem } from "#protocol/problem";
import { type EndKind, Runtime } from "#protocol/runtime";
import { Actor, type Behaviour, type Counts, Delivery, type Ground, type SpawnOptions } from "./actor.ts";
import { bonded } from "./bonded.ts";
import type { Clock } from "./clock.ts";
import { Questions, refused } from "./questions.ts";
import { nodeOf, Remotes, SYSTEM } from "./remotes.ts";
import { RunQueue } from "./run-queue.ts";
import type { Trace, TraceKind } from "./trace.ts";
import type { Transport } from "./transport/transport.ts";
import { type End, Watches } from "./watches.ts";

export type { Behaviour } from "./actor.ts";

export interface SystemOptions {
  /** Absent: nothing is traced, and it costs nothing. */
  readonly trace?: Trace;
  /** Lets sockets and timers run, then calls back; a simulator has its own. */
  readonly yieldTo?: (run: () => void) => void;
}

export class ActorSystem {
  readonly node: string;
  readonly clock: Clock;
  readonly trace: Trace | undefined;
  /** How addresses of this node begin. */
  readonly #own: string;
  readonly #actors = new Map<Address, Actor>();
  readonly #watches = new Watches();
  readonly #questions: Questions;
  readonly #queue: RunQueue;
  readonly #remotes: Remotes;
  readonly #ground: Ground;

  constructor(node: string, clock: Clock, { trace, yieldTo }: SystemOptions = {}) {
    this.node = node;
    this.#own = `${node}/`;
    this.clock = clock;
    this.trace = trace;
    this.#questions = new Questions(clock);
    this.#queue = new RunQueue(yieldTo ?? ((run) => void setImmediate(run)));
    this.#ground = {
      reply: ({ to, from, id }, answer) => this.#reply(to, from, id, answer),
      crashed: (actor, error) => this.#crash(actor, error),
      ...(trace && {
        handling: ({ to, from, message }: Delivery) => trace.note("handled", to, from, message.type),
      }),
    };
    this.#remotes = new Remotes({
      node,
      watches: this.#watches,
      watch: (actor, told) => this.watch(actor, told),
      deliver: (envelope) => this.#arrived(envelope),
      dropped: ({ to, from, message }) => this.#note("dropped", to, from, message.type),
    });
  }

  /** The address of an actor of this node. */
  address(name: string): Address {
    return `${this.node}/${name}` as Address;
  }

  /**
   * Starts an actor. What comes from outside was checked against its declaration when it was decoded; that a message is
   * one of `M` is its sender's word, so a behaviour ignores what it does not know.
   */
  spawn<M extends AnyMessage>(name: string, behaviour: Behaviour<M>, options: SpawnOptions = {}): Address {
    const address = this.address(name);
    if (this.#actors.has(address) || name === SYSTEM)
      throw new Error(`an actor named ${address} runs already`);
    this.#actors.set(address, new Actor(this.#ground, address, behaviour as Behaviour, options));
    this.#note("spawned", address, "", "");
    return address;
  }

  /** Ends the actor in order, and forgets what still waits in its mailbox. */
  stop(address: Address): void {
    const actor = this.#actors.get(address);
    if (actor) this.#end(actor, { how: "stopped", why: "it was stopped" });
  }

  /** Ends the actor as if its behaviour had thrown: for what fails outside of a message, like a chart's promise. */
  fail(address: Address, error: unknown): void {
    const actor = this.#actors.get(address);
    if (actor) this.#crash(actor, error);
  }

  /** Takes what was thrown where no actor was at work: the crash of the part that has this system (`partOf`), else the process's. */
  readonly caught = (error: unknown): void =>
    queueMicrotask(() => {
      throw error;
    });

  /** Puts a message on its way, with a body that changes no more. False when it was refused: nobody there, mailbox or link full. */
  send(to: Address, message: AnyMessage, from: Address, body?: Uint8Array): boolean {
    if (this.trace) this.trace.note("sent", from, to, message.type);
    const actor = this.#actors.get(to);
    if (actor !== undefined) return this.#deliver(actor, from, message, 0, body);
    return this.#remotes.send(body === undefined ? { to, from, message } : { to, from, message, body });
  }

  /**
   * Asks and waits for the answer, one of the replies `R` that the inbox declares; rejects with `overloaded` when the mailbox is
   * full, and with `unavailable` when nobody is there, who was asked ends, its link breaks, or `timeoutMs` passes.
   */
  ask<R extends AnyMessage>(to: Address, message: AnyMessage, from: Address, timeoutMs: number): Promise<R> {
    if (this.trace) this.trace.note("sent", from, to, message.type);
    const id = this.#questions.next;
    const answer = this.#questions.open<R>(to, message.type, timeoutMs);
    if (this.#questions.next === id) return answer;
    const actor = this.#actors.get(to);
    if (actor !== undefined) this.#deliver(actor, from, message, id);
    else if (!this.#remotes.send({ to, from, id, message }))
      this.#questions.fail(id, new Problem("unavailable", `${to} does not take ${message.type} now`));
    return answer;
  }

  /**
   * Resolves when an actor of this node that was full has room for half of its mailbox again, or is no more; for one elsewhere, when
   * its lane that has refused takes more. Undefined where nobody is there, nor a way to another process.
   */
  room(address: Address): Promise<void> | undefined {
    const actor = this.#actors.get(address);
    if (!actor) return this.#remotes.room(address);
    if (actor.box.size < actor.box.limit) return Promise.resolve();
    return new Promise((resolve) => actor.waitingForRoom.push(resolve));
  }

  /** What happened to the messages of an actor of this node; undefined when there is none of that name. */
  counts(address: Address): Counts | undefined {
    return this.#actors.get(address)?.counts;
  }

  /** Questions that wait, answers that came too late, and watches: flat when nothing leaks. */
  get held(): { readonly questions: number; readonly late: number; readonly watches: number } {
    return { questions: this.#questions.size, late: this.#questions.late, watches: this.#watches.size };
  }

  /** Calls back once when the actor ends, here or on another node: at once where there is none. The returned function takes it back. */
  watch(actor: Address, told: (end: End) => void): () => void {
    const id = this.#watches.add(actor, told);
    const isLocal = actor.startsWith(this.#own);
    const isThere = isLocal
      ? this.#actors.has(actor) || this.#remotes.has(actor)
      : this.#remotes.watch(actor, id);
    const nobody = { how: "lost", why: `${actor} is not there` } as const;
    if (!isThere) queueMicrotask(() => this.#watches.tell(id, actor, nobody));
    return () => {
      if (this.#watches.remove(id) && !isLocal) this.#remotes.unwatch(actor, id);
    };
  }

  /** As `watch`; `watcher` receives a `Runtime.Down`. */
  monitor(watcher: Address, actor: Address): () => void {
    return this.watch(actor, ({ how, why }) => {
      this.send(watcher, Runtime.Down({ actor, watch: 1, how, why }), actor);
    });
  }

  /** Two that cannot do without each other: when one ends other than in order, so does the other. Undone by the returned function. */
  link(one: Address, other: Address): () => void {
    return bonded(this, one, other);
  }

  /** Everything addressed to `node/…` goes over this link from now on, what is bulk over a lane of its own where there is one. */
  connect(node: string, link: Transport, bulk?: Transport): void {
    this.#note("linked", this.node, node, "");
    this.#remotes.connect(node, link, bulk);
  }

  /** A child process is at the other end, in which `name/actor` runs: here and everywhere else it is `<this node>/name`, which is returned. */
  adopt(name: string, actor: string, link: Transport): Address {
    this.#note("linked", this.node, name, "");
    return this.#remotes.adopt(name, actor, link);
  }

  /** The child process has ended: who asked or watched it, here or on other nodes, is told. `crashed`: by itself. */
  disown(child: Address, why: string, how: EndKind = "lost"): void {
    if (!this.#remotes.has(child)) return;
    this.#remotes.disown(child);
    this.#note("unlinked", this.node, child, "");
    this.#lost((address) => address === child, why, how);
  }

  /** Everything that is for nobody here goes over this link from now on: a child's to its parent. */
  connectParent(node: string, link: Transport): void {
    this.#remotes.connectParent(node, link);
  }

  /** Closes the link; questions to that node fail and who watches actors there is told, with `why`. */
  disconnect(node: string, why = `the link to ${node} is closed`): void {
    if (!this.#remotes.disconnect(node)) return;
    this.#note("unlinked", this.node, node, "");
    this.#lost((address) => nodeOf(address) === node, why);
  }

  #deliver(actor: Actor, from: Address, message: AnyMessage, id: number, body?: Uint8Array): boolean {
    const delivery = new Delivery(this.#ground, actor.address, from, message, id, body);
    if (!actor.box.put(delivery) && !this.#squeeze(actor, delivery)) return false;
    if (!actor.isQueued) {
      actor.isQueued = true;
      this.#queue.add(actor);
    }
    return true;
  }

  /** The mailbox is full: the actor's policy says who gives way. */
  #squeeze(actor: Actor, delivery: Delivery): boolean {
    const oldest = actor.whenFull === "dropOldest" ? actor.box.take() : undefined;
    const loser = oldest ?? delivery;
    this.#note(oldest ? "dropped" : "refused", actor.address, loser.from, loser.message.type);
    const why = `${actor.address} has ${actor.box.limit} messages waiting and takes no more`;
    this.#refuse(loser, new Problem("overloaded", why));
    if (oldest) actor.dropped += 1;
    else actor.refused += 1;
    return oldest !== undefined && actor.box.put(delivery);
  }

  /** Ends a question that nobody will answer; what is only told is lost without a word. */
  #refuse({ to, from, id }: Delivery, problem: Problem): void {
    if (id === 0) return;
    if (this.#isHere(from)) this.#questions.fail(id, problem);
    else this.#remotes.send({ to: from, from: to, re: id, message: refused(problem) });
  }

  #reply(from: Address, to: Address, re: number, message: AnyMessage): void {
    if (re === 0) {
      this.send(to, message, from);
      return;
    }
    if (this.trace) this.trace.note("sent", from, to, message.type);
    if (this.#isHere(to)) this.#answered(re, to, from, message);
    else this.#remotes.send({ to, from, re, message });
  }

  #answered(re: number, to: Address, from: Address, message: AnyMessage): void {
    if (!this.#questions.answer(re, from, message)) this.#note("late", to, from, message.type);
  }

  /** From another node. */
  #arrived({ to, from, id = 0, re, message, body }: Envelope): void {
    if (re !== undefined) {
      this.#answered(re, to, from, message);
      return;
    }
    const actor = this.#actors.get(to);
    if (actor) this.#deliver(actor, from, message, id, body);
    else {
      this.#note("dropped", to, from, message.type);
      this.#refuse(
        new Delivery(this.#ground, to, from, message, id, body),
        new Problem("unavailable", `${to} is not there`),
      );
    }
  }

  /** Who asked or watched one of those is told. */
  #lost(isLost: (actor: Address) => boolean, why: string, how: EndKind = "lost"): void {
    this.#questions.failAll(isLost, (to) => new Problem("unavailable", `${to} did not answer: ${why}`));
    for (const [id, actor] of this.#watches.of(isLost)) this.#watches.tell(id, actor, { how, why });
  }

  #isHere(address: Address): boolean {
    return address.startsWith(this.#own) && !this.#remotes.has(address);
  }

  #crash(actor: Actor, error: unknown): void {
    const isWatched = this.#watches.watched(actor.address);
    const why = error instanceof Error ? error.message : String(error);
    this.#end(actor, { how: "crashed", why, cause: error });
    if (actor.onCrash) actor.onCrash(error);
    else if (!isWatched) this.caught(error);
  }

  #end(actor: Actor, end: End): void {
    if (actor.hasEnded) return;
    actor.hasEnded = true;
    this.#actors.delete(actor.address);
    this.#note("ended", actor.address, "", end.how);
    const problem = new Problem("unavailable", `${actor.address} ended before it answered: ${end.why}`);
    for (let left = actor.box.take(); left; left = actor.box.take()) this.#refuse(left, problem);
    // What it took and did not answer yet: whoever asked here need not wait until the deadline.
    this.#questions.failAll(
      (to) => to === actor.address,
      () => problem,
    );
    for (const tell of actor.waitingForRoom.splice(0)) tell();
    this.#watches.tellAll(actor.address, end);
  }

  #note(kind: TraceKind, actor: string, peer: string, what: string): void {
    if (this.trace) this.trace.note(kind, actor, peer, what);
  }
}
