/**
 * Envelopes between a process and the child that it started, on a pair of sockets: frames as between nodes, with whole addresses. A
 * child that computes reads nothing meanwhile, so that what it is sent waits here, within bounds.
 */
import { readSync } from "node:fs";
import type { Socket } from "bun";
import { decode, type Envelope, FRAME_BYTES_MAX } from "#protocol/codec";
import { ProtocolError } from "#protocol/message";
import { Problem } from "#protocol/problem";
import { BODY_FRAME_BYTES_MAX, FrameKind, FrameReader, partsOfBody } from "./framing.ts";
import { Outgoing } from "./outgoing.ts";
import { codeOf } from "./thrown.ts";
import type { Transport } from "./transport.ts";

/** Which of a child's descriptors its end is: the first behind input, output and errors. */
export const CHILD_FD = 3;

/** While more than this waits, no body is taken: two chunks of prefill for a child that computes the one before. */
const BODIES_WAITING_BYTES_MAX = 32 * 1024 * 1024;
/** The same for messages without one, which go on behind bodies that wait. */
const WAITING_BYTES_MAX = BODIES_WAITING_BYTES_MAX + BODY_FRAME_BYTES_MAX + FRAME_BYTES_MAX;
/** How long a child stays with a large body while its parent does nothing for it: a parent computes nothing, so that it soon does. */
const STAY_TIMES = 400;
const STAY_EACH_MS = 0.05;
/** Read at once: what a system keeps of a stream, and more. */
const PULL_BYTES = 512 * 1024;

export interface ChildPorts {
  /**
   * The other end is closed, as far as nothing more is given; else why this end closed it: a ProtocolError for what came from there,
   * a Problem where there is none, anything else a failure of this process, like what `onReceive` throws. Said once.
   */
  readonly ended: (error?: Error) => void;
  /**
   * For who computes between two turns of its event loop, each of which moves no more than the system keeps of a stream: stays with a
   * large body until it is sent, or is here.
   */
  readonly stays?: boolean;
}

export class ChildLink implements Transport {
  onReceive: (envelope: Envelope, isLent?: boolean) => void = () => {};
  onClose: (reason: string) => void = () => {};
  onDrain: () => void = () => {};
  readonly #ports: ChildPorts;
  readonly #outgoing: Outgoing;
  readonly #reader = new FrameReader(BODY_FRAME_BYTES_MAX, (kind, bytes, from, to) =>
    this.#take(kind, bytes, { from, to }),
  );
  #socket: Socket | undefined;
  #refused = false;
  readonly #fd: number;
  #space: Uint8Array | undefined;
  #paused = false;
  #open = true;
  #ended = false;

  /** Owns the descriptor from now on. */
  constructor(fd: number, ports: ChildPorts) {
    this.#fd = fd;
    this.#ports = ports;
    this.#outgoing = new Outgoing(
      {
        write: (bytes, from, length) => this.#socket?.write(bytes, from, length) ?? 0,
        end: () => this.#socket?.end(),
        pause: () => this.#socket?.pause(),
        resume: () => this.#socket?.resume(),
      },
      () => this.#tellOfRoom(),
    );
    // Bun's types leave this way out of `connect`, and give its options only.
    const options: Bun.FdSocketOptions = { fd, socket: this.#handlers() };
    Bun.connect(options as unknown as Bun.UnixSocketOptions).catch((cause: unknown) =>
      this.#end(
        new Problem(
          "unavailable",
          `descriptor ${fd} leads to no process of exo's, which starts its workers itself`,
          { cause },
        ),
      ),
    );
  }

  send(envelope: Envelope, isLent = false): boolean {
    const { body } = envelope;
    const limit = body ? BODIES_WAITING_BYTES_MAX : WAITING_BYTES_MAX;
    if (!this.#open || this.#outgoing.waitingBytes > limit) {
      this.#refused = true;
      return false;
    }
    if (body) this.#outgoing.addBody(envelope, body, !isLent, BODY_FRAME_BYTES_MAX);
    else this.#outgoing.add(envelope);
    if (body && this.#ports.stays) this.#press();
    return true;
  }

  pause(): void {
    this.#paused = true;
    this.#socket?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#socket?.resume();
  }

  /**
   * Takes what the other end says within so many milliseconds, without a turn of the event loop, and sends what waits. `waitFor` blocks
   * until a descriptor can be read, or written to where that is wanted as well, and answers whether it can.
   */
  takeWithin(ms: number, waitFor: (fd: number, write: boolean, ms: number) => boolean): void {
    this.#outgoing.drained();
    if (!this.#open || !waitFor(this.#fd, this.#outgoing.waitingBytes > 0, ms)) return;
    this.#space ??= new Uint8Array(PULL_BYTES);
    const count = readNow(this.#fd, this.#space);
    if (count === 0) this.#end();
    else if (count !== undefined) this.#push(this.#space.subarray(0, count));
    this.#outgoing.drained();
  }

  close(): void {
    if (!this.#open) return;
    this.#outgoing.flush();
    this.#outgoing.close();
    this.#open = false;
    this.#socket?.end();
  }

  /** The process at the other end is gone; said once. */
  closed(reason: string): void {
    this.close();
    this.onClose(reason);
    this.onClose = () => {};
  }

  #handlers(): Bun.SocketHandler<undefined> {
    return {
      open: (socket) => {
        this.#socket = socket;
        if (this.#paused) socket.pause();
        if (this.#open) this.#drained();
        else socket.end();
      },
      data: (_, bytes) => {
        this.#push(bytes);
        if (this.#ports.stays && this.#reader.missing > 0) this.#pull();
      },
      drain: () => this.#drained(),
      close: () => this.#end(),
      // Bun tells here also what a handler of these has thrown.
      error: (_, error) => this.#end(isEnd(error) ? undefined : error),
    };
  }

  #push(bytes: Uint8Array): void {
    try {
      this.#reader.push(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#end(error);
    }
  }

  #take(kind: number, bytes: Uint8Array, { from, to }: { readonly from: number; readonly to: number }): void {
    if (kind === FrameKind.envelope) this.onReceive(decode(bytes, from, to));
    else if (kind === FrameKind.body) {
      const [head, body] = partsOfBody(bytes, { from, to });
      const envelope = decode(bytes, head.from, head.to);
      this.onReceive({ ...envelope, body: bytes.subarray(body.from, body.to) }, true);
    } else throw new ProtocolError(`a frame of kind ${kind} is not known between a process and its child`);
  }

  #drained(): void {
    this.#outgoing.drained();
    this.#tellOfRoom();
  }

  #press(): void {
    this.#outgoing.flush();
    let before = this.#outgoing.waitingBytes;
    for (let times = 0; times < STAY_TIMES && before > 0 && this.#socket; times++) {
      nap();
      this.#outgoing.drained();
      const now = this.#outgoing.waitingBytes;
      if (now < before) times = 0;
      before = now;
    }
  }

  #pull(): void {
    this.#space ??= new Uint8Array(PULL_BYTES);
    for (let times = 0; times < STAY_TIMES && this.#open && this.#reader.missing > 0; times++) {
      const count = readNow(this.#fd, this.#space);
      if (count === 0) return;
      if (count === undefined) nap();
      else {
        this.#push(this.#space.subarray(0, count));
        times = 0;
      }
    }
  }

  #tellOfRoom(): void {
    if (!this.#refused || this.#outgoing.waitingBytes * 2 > BODIES_WAITING_BYTES_MAX) return;
    this.#refused = false;
    this.onDrain();
  }

  #end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.close();
    this.#ports.ended(error);
  }
}

const NOTHING_COMES = new Int32Array(new SharedArrayBuffer(4));
/** Shorter than `Bun.sleepSync` can. */
const nap = () => Atomics.wait(NOTHING_COMES, 0, 0, STAY_EACH_MS);

/** Bytes that are there already; undefined where none are, 0 at the end. */
function readNow(fd: number, space: Uint8Array): number | undefined {
  try {
    return readSync(fd, space);
  } catch (error) {
    if (codeOf(error) === "EAGAIN") return undefined;
    if (isEnd(error)) return 0;
    throw error;
  }
}

/** What a system says of a stream whose other end is gone while bytes were on their way to it. */
const isEnd = (error: unknown): boolean => ["ECONNRESET", "EPIPE"].includes(codeOf(error) ?? "");
