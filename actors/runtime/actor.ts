/** One actor: its mailbox, what it does with a message, and what is counted of it. */
import type { Address } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { Mailbox } from "./mailbox.ts";
import type { Runnable } from "./run-queue.ts";

/** A message as an actor sees it; `M` is what its inboxes declare. */
export interface Received<M extends AnyMessage = AnyMessage> {
  readonly message: M;
  /** Bytes that came with it; they change no more. */
  readonly body?: Uint8Array | undefined;
  readonly from: Address;
  /** Answers a question; for a message that asked nothing it goes to the sender as a message of its own. */
  readonly reply: (message: AnyMessage) => void;
}

/** What an actor does with one message. Throwing is a crash: the actor ends, and who watches it hears why. */
export type Behaviour<M extends AnyMessage = AnyMessage> = (received: Received<M>) => void;

/**
 * What happens to a message for a full mailbox. `refuse`: its sender is told (`send` is false, a question fails as `overloaded`).
 * `dropOldest`: the oldest waiting one makes room, for news that the newer replaces. `backpressure`: as `refuse`, and the sender
 * may wait for room (`ActorSystem.room`), so that it slows down instead of losing anything.
 */
export type WhenFull = "refuse" | "dropOldest" | "backpressure";

export interface SpawnOptions {
  /** Messages that may wait. */
  readonly mailbox?: number;
  /** Absent: `refuse`. */
  readonly whenFull?: WhenFull;
  /** Supervision: what to do when the behaviour throws. Without it, and without anybody who watches, the crash is the process's. */
  readonly onCrash?: (error: unknown) => void;
}

/** What happened to the messages for one actor so far. */
export interface Counts {
  readonly waiting: number;
  readonly handled: number;
  readonly refused: number;
  readonly dropped: number;
}

/** Enough for a burst of every client's edges; tokens never queue here for long. */
const MAILBOX_DEFAULT = 4096;
/** Messages in a row before others have their turn. */
const BATCH = 256;

/** What an actor needs of its system. */
export interface Ground {
  reply(to: Delivery, answer: AnyMessage): void;
  crashed(actor: Actor, error: unknown): void;
  handling?: (delivery: Delivery) => void;
}

/** A message in a mailbox: the one object that is made for it. */
export class Delivery implements Received {
  readonly to: Address;
  readonly from: Address;
  readonly message: AnyMessage;
  /** Of the question; 0 when nothing is asked. */
  readonly id: number;
  readonly body: Uint8Array | undefined;
  readonly #ground: Ground;

  constructor(
    ground: Ground,
    to: Address,
    from: Address,
    message: AnyMessage,
    id: number,
    body: Uint8Array | undefined,
  ) {
    this.#ground = ground;
    this.to = to;
    this.from = from;
    this.message = message;
    this.id = id;
    this.body = body;
  }

  /** Made only where it is asked for, so that a message that needs no answer costs no closure. */
  get reply(): (message: AnyMessage) => void {
    return (answer) => this.#ground.reply(this, answer);
  }
}

export class Actor implements Runnable {
  readonly address: Address;
  readonly box: Mailbox<Delivery>;
  readonly whenFull: WhenFull;
  readonly onCrash: ((error: unknown) => void) | undefined;
  readonly #behave: Behaviour;
  readonly #ground: Ground;
  /** Calls back when there is room again. */
  waitingForRoom: (() => void)[] = [];
  isQueued = false;
  hasEnded = false;
  #handled = 0;
  refused = 0;
  dropped = 0;

  constructor(ground: Ground, address: Address, behave: Behaviour, options: SpawnOptions) {
    this.#ground = ground;
    this.address = address;
    this.#behave = behave;
    this.box = new Mailbox(options.mailbox ?? MAILBOX_DEFAULT);
    this.whenFull = options.whenFull ?? "refuse";
    this.onCrash = options.onCrash;
  }

  get counts(): Counts {
    const { refused, dropped } = this;
    return { waiting: this.box.size, handled: this.#handled, refused, dropped };
  }

  /** Handles a batch; true when more waits. */
  run(): boolean {
    const ground = this.#ground;
    for (let left = BATCH; left > 0 && !this.hasEnded; left--) {
      const delivery = this.box.take();
      if (delivery === undefined) {
        this.isQueued = false;
        return false;
      }
      this.#handled += 1;
      if (ground.handling) ground.handling(delivery);
      try {
        this.#behave(delivery);
      } catch (error) {
        ground.crashed(this, error);
      }
      if (this.waitingForRoom.length > 0) this.#tellOfRoom();
    }
    this.isQueued = !this.hasEnded;
    return this.isQueued;
  }

  /** Half of the mailbox must be free, so that a sender is not woken for one message at a time. */
  #tellOfRoom(): void {
    if (this.box.size * 2 > this.box.limit) return;
    for (const tell of this.waitingForRoom.splice(0)) tell();
  }
}
