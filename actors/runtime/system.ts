/** The ground actors stand on: names, mailboxes, questions with a deadline, and links to other processes. */
import type { Envelope } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { Problem } from "#protocol/problem";
import type { Clock } from "./clock.ts";
import { Mailbox } from "./mailbox.ts";
import type { Transport } from "./transport/transport.ts";

/** A message as an actor sees it; `M` is what its inboxes declare. */
export interface Received<M extends AnyMessage = AnyMessage> {
  readonly message: M;
  readonly from: Address;
  /** Answers a question; for a message that asked nothing it goes to the sender as a message of its own. */
  reply(message: AnyMessage): void;
}

/** What an actor does with one message. Throwing is a crash: the actor stops and its `onCrash` hears of it. */
export type Behaviour<M extends AnyMessage = AnyMessage> = (received: Received<M>) => void;

export interface SpawnOptions {
  /** Messages that may wait; a burst above it is refused to its senders. */
  readonly mailbox?: number;
  /** Supervision: what to do when the behaviour throws. Without it the crash is the process's. */
  readonly onCrash?: (error: unknown) => void;
}

/** Enough for a burst of every client's edges; tokens never queue here for long. */
const MAILBOX_DEFAULT = 4096;
/** After so many messages in a row an actor lets sockets and timers run. */
const BATCH = 256;
/** Questions that may wait for an answer at once. */
const QUESTIONS_MAX = 4096;

interface Actor {
  readonly box: Mailbox<Envelope>;
  readonly behave: Behaviour;
  readonly onCrash: (error: unknown) => void;
  running: boolean;
}

interface Question {
  readonly answer: (message: AnyMessage) => void;
  readonly fail: (error: Problem) => void;
}

export class ActorSystem {
  readonly node: string;
  readonly clock: Clock;
  readonly #actors = new Map<Address, Actor>();
  readonly #links = new Map<string, Transport>();
  readonly #questions = new Map<number, Question>();
  #lastQuestion = 0;

  constructor(node: string, clock: Clock) {
    this.node = node;
    this.clock = clock;
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
    if (this.#actors.has(address)) throw new Error(`an actor named ${address} runs already`);
    const onCrash =
      options.onCrash ??
      ((error: unknown) => {
        throw error;
      });
    this.#actors.set(address, {
      box: new Mailbox(options.mailbox ?? MAILBOX_DEFAULT),
      behave: behaviour as Behaviour,
      onCrash,
      running: false,
    });
    return address;
  }

  /** Forgets the actor and what still waits in its mailbox. */
  stop(address: Address): void {
    this.#actors.delete(address);
  }

  /** Puts a message on its way. False when it was refused: nobody there, mailbox or link full. */
  send(to: Address, message: AnyMessage, from: Address): boolean {
    return this.#route({ to, from, message });
  }

  /**
   * Asks and waits for the answer, one of the replies `R` that the inbox declares; rejects with `unavailable` when refused
   * or when `timeoutMs` passes.
   */
  ask<R extends AnyMessage>(to: Address, message: AnyMessage, from: Address, timeoutMs: number): Promise<R> {
    if (this.#questions.size >= QUESTIONS_MAX) {
      return Promise.reject(new Problem("overloaded", `${QUESTIONS_MAX} questions already wait for answers`));
    }
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    this.#lastQuestion += 1;
    const id = this.#lastQuestion;
    const cancel = this.clock.after(timeoutMs, () => settle(() => reject(late(to, message, timeoutMs))));
    const settle = (how: () => void) => {
      this.#questions.delete(id);
      cancel();
      how();
    };
    this.#questions.set(id, {
      answer: (answer) => settle(() => resolve(answer as R)),
      fail: (error) => settle(() => reject(error)),
    });
    if (!this.#route({ to, from, id, message })) {
      settle(() => reject(new Problem("unavailable", `${to} does not take ${message.type} now`)));
    }
    return promise;
  }

  /** Everything addressed to `node/…` goes over this link from now on. */
  connect(node: string, link: Transport): void {
    this.#links.set(node, link);
    link.onReceive = (envelope) => this.#route(envelope);
  }

  disconnect(node: string): void {
    this.#links.get(node)?.close();
    this.#links.delete(node);
  }

  #route(envelope: Envelope): boolean {
    const { to } = envelope;
    const node = to.slice(0, to.indexOf("/"));
    if (node !== this.node) return this.#links.get(node)?.send(envelope) ?? false;
    if (envelope.re !== undefined) return this.#answer(envelope.re, envelope.message);
    const actor = this.#actors.get(to);
    if (!actor?.box.put(envelope)) return false;
    if (!actor.running) {
      actor.running = true;
      queueMicrotask(() => this.#run(to, actor));
    }
    return true;
  }

  #answer(id: number, message: AnyMessage): boolean {
    const question = this.#questions.get(id);
    question?.answer(message);
    return question !== undefined;
  }

  #run(address: Address, actor: Actor): void {
    for (let handled = 0; handled < BATCH; handled++) {
      const envelope = this.#actors.get(address) === actor ? actor.box.take() : undefined;
      if (!envelope) {
        actor.running = false;
        return;
      }
      try {
        actor.behave(this.#received(envelope));
      } catch (error) {
        this.stop(address);
        actor.onCrash(error);
        return;
      }
    }
    setImmediate(() => this.#run(address, actor));
  }

  #received({ to, from, id, message }: Envelope): Received {
    return {
      message,
      from,
      reply: (answer) => {
        this.#route({ to: from, from: to, message: answer, ...(id !== undefined && { re: id }) });
      },
    };
  }
}

const late = (to: Address, { type }: AnyMessage, timeoutMs: number): Problem =>
  new Problem("unavailable", `${to} did not answer ${type} within ${timeoutMs} ms`);
