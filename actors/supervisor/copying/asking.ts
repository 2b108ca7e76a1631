/** One link by which a model's files are asked of another machine. */
import type { Clock } from "#actors/runtime/clock";
import type { Link } from "#actors/runtime/transport/network";
import type { CopiedPart } from "#actors/shard-worker/weights/partial-copy";
import type { CopiedModel } from "#actors/shard-worker/weights/partial-list";
import type { Envelope } from "#protocol/codec";
import { Copying, type CopyingMessage, type CopyingReply } from "#protocol/copying";
import type { Address, NodeId } from "#protocol/ids";
import { Problem, type ProblemBody, problemOf } from "#protocol/problem";

export interface FilesLinkPorts {
  readonly self: NodeId;
  readonly clock: Clock;
}

/** What came of one part. */
export interface Arrived {
  readonly bytes: Uint8Array;
  /** As its sender read them. */
  readonly hash: string;
}

/** What lies there. */
export type Offered = Omit<Extract<CopyingReply, { type: "CopyingReply.Files" }>, "type">;

interface Waiting<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** A machine that looks at a large checkpoint for the first time hashes a sample of it. */
const STILL_MS = 30_000;

export class FilesLink {
  readonly #ports: FilesLinkPorts;
  readonly #link: Link;
  readonly #parts = new Map<string, Waiting<Arrived>>();
  #files: Waiting<Offered> | undefined;
  #over: Problem | undefined;
  #cancel = () => {};

  constructor(link: Link, ports: FilesLinkPorts) {
    this.#link = link;
    this.#ports = ports;
    link.onReceive = ({ message }) => this.#heard(message as CopyingReply);
    link.onBody = (envelope, bytes) => this.#arrived(envelope, bytes);
    link.onClose = (why) => this.#end(new Problem("network", `the link for files broke: ${why}`));
  }

  /** Throws Problem: `notFound` where it is not there. */
  open(what: CopiedModel): Promise<Offered> {
    const { promise, resolve, reject } = Promise.withResolvers<Offered>();
    this.#files = { resolve, reject };
    this.#ask(Copying.Open({ ...what }));
    return promise;
  }

  /** Throws Problem. */
  read(part: CopiedPart): Promise<Arrived> {
    const { promise, resolve, reject } = Promise.withResolvers<Arrived>();
    this.#parts.set(keyOf(part), { resolve, reject });
    this.#ask(Copying.Read({ ...part }));
    return promise;
  }

  close(): void {
    this.#end(new Problem("cancelled", "the fetch was ended"));
  }

  #ask(message: CopyingMessage): void {
    const { self } = this.#ports;
    const envelope = {
      to: `${this.#link.peer.node}/files` as Address,
      from: `${self}/files` as Address,
      message,
    };
    if (this.#over) this.#end(this.#over);
    else if (!this.#link.send(envelope))
      this.#end(new Problem("network", "the link for files takes no more"));
    else this.#listen();
  }

  /** Something is waited for: the other side has to say something within this time. */
  #listen(): void {
    this.#cancel();
    if (this.#parts.size > 0 || this.#files)
      this.#cancel = this.#ports.clock.after(STILL_MS, () =>
        this.#end(new Problem("network", `nothing came for ${STILL_MS / 1000} s`)),
      );
  }

  #heard(message: CopyingReply): void {
    if (message.type === "CopyingReply.Files" && this.#files) {
      this.#files.resolve(message);
      this.#files = undefined;
      this.#listen();
    } else if (message.type === "CopyingReply.Refused") this.#end(refusalOf(message.problem));
    else this.#end(new Problem("network", "the other machine said what nobody asked for"));
  }

  #arrived({ message }: Envelope, bytes: Uint8Array): void {
    const part = message as CopyingReply;
    const waiting = part.type === "CopyingReply.Part" ? this.#parts.get(keyOf(part)) : undefined;
    if (part.type !== "CopyingReply.Part" || !waiting) {
      this.#end(new Problem("network", "the other machine sent what nobody asked for"));
      return;
    }
    this.#parts.delete(keyOf(part));
    this.#listen();
    // What the link brought is valid until this returns.
    waiting.resolve({ bytes: new Uint8Array(bytes), hash: part.hash });
  }

  #end(why: Problem): void {
    this.#over ??= why;
    this.#cancel();
    this.#link.close();
    const waiting = [...this.#parts.values()];
    this.#parts.clear();
    this.#files?.reject(this.#over);
    this.#files = undefined;
    for (const { reject } of waiting) reject(this.#over);
  }
}

/** What kind of trouble another machine has with its files says nothing of this one's disk, nor that what it gave was wrong. */
const refusalOf = ({ kind, ...problem }: ProblemBody): Problem =>
  problemOf({ ...problem, kind: kind === "notFound" ? kind : "unavailable" });

const keyOf = ({ file, offset }: { readonly file: number; readonly offset: number }): string =>
  `${file} ${offset}`;
