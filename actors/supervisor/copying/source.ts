/** Gives other machines of the home the files of models that lie here: one model for each link, and of that its own files alone. */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#actors/runtime/clock";
import type { Link } from "#actors/runtime/transport/network";
import { viewCheckpoint } from "#actors/shard-worker/weights/checkpoint-view";
import { copiedFiles } from "#actors/shard-worker/weights/copied-files";
import { hashOfBytes } from "#actors/shard-worker/weights/part-hash";
import type { Envelope } from "#protocol/codec";
import { type CopyingMessage, CopyingReply } from "#protocol/copying";
import type { Address, NodeId } from "#protocol/ids";
import { Problem, problemBody } from "#protocol/problem";
import type { Own } from "../placement/serving.ts";
import { findNamed } from "../placement/stages.ts";

export interface SourcePorts {
  readonly self: NodeId;
  readonly clock: Clock;
  /** A model on this machine's disk; nothing is fetched. Throws Problem. */
  readonly find: (model: string) => Promise<Own>;
}

/** Twice what a fetch asks for at once. */
const ASKED_MAX = 32;
/** While one is hashed another is read. */
const READS_AT_ONCE = 2;
/** Who asks for nothing, or takes nothing of what it asked for: a slow line has a part every ten seconds. */
const IDLE_MS = 120_000;
/** Links of one machine: it fetches few models at once. */
const LINKS_MAX = 8;

type Read = Extract<CopyingMessage, { type: "Copying.Read" }>;

/** Takes links that members opened for files; the returned functions are for new ones, and to end all. */
export class Sources {
  readonly #ports: SourcePorts;
  readonly #links = new Set<Link>();

  constructor(ports: SourcePorts) {
    this.#ports = { ...ports, find: findNamed(ports.find) };
  }

  take(link: Link): void {
    const { node } = link.peer;
    if ([...this.#links].filter((each) => each.peer.node === node).length >= LINKS_MAX) {
      link.close();
      return;
    }
    this.#links.add(link);
    const source = new Source(this.#ports, link);
    link.onReceive = (envelope) => source.heard(envelope);
    link.onDrain = () => source.drained();
    link.onClose = () => {
      this.#links.delete(link);
      source.end();
    };
  }

  stop(): void {
    for (const link of this.#links) link.close();
  }
}

/** One link: who has it proved that it belongs to this home. */
class Source {
  readonly #ports: SourcePorts;
  readonly #link: Link;
  #isOpened = false;
  readonly #files: { readonly handle: FileHandle; readonly bytes: number }[] = [];
  readonly #asked: Read[] = [];
  #reading = 0;
  /** Nothing is read before all of its files are named. */
  readonly #named = Promise.withResolvers<void>();
  #cancelIdle = () => {};
  #room = Promise.withResolvers<void>();
  #ended = false;

  constructor(ports: SourcePorts, link: Link) {
    this.#ports = ports;
    this.#link = link;
    this.#isUsed();
  }

  /** What is not asked in this order, or too much at once, ends the link. */
  heard({ to, message }: Envelope): void {
    const { type } = message;
    this.#isUsed();
    const isForMe = to === `${this.#ports.self}/files`;
    if (isForMe && type === "Copying.Open" && !this.#isOpened) {
      this.#isOpened = true;
      void this.#open(message as Extract<CopyingMessage, { type: "Copying.Open" }>).catch((error: unknown) =>
        this.#refuse(error),
      );
    } else if (isForMe && type === "Copying.Read" && this.#asked.length < ASKED_MAX) {
      this.#asked.push(message as Read);
      if (this.#reading < READS_AT_ONCE)
        void this.#answerAll().catch((error: unknown) => this.#refuse(error));
    } else this.#link.close();
  }

  drained(): void {
    this.#isUsed();
    this.#next();
  }

  end(): void {
    this.#ended = true;
    this.#cancelIdle();
    this.#named.resolve();
    this.#next();
    for (const { handle } of this.#files.splice(0)) void handle.close().catch(() => {}); // It was only read.
  }

  #isUsed(): void {
    this.#cancelIdle();
    if (!this.#ended) this.#cancelIdle = this.#ports.clock.after(IDLE_MS, () => this.#link.close());
  }

  #next(): void {
    this.#room.resolve();
    this.#room = Promise.withResolvers();
  }

  async #open({ model, digest }: { model: string; digest: string }): Promise<void> {
    const { name, path } = await this.#ports.find(model);
    const { digest: own } = await viewCheckpoint(path);
    if (own.whole !== digest) throw new Problem("notFound", `the ${name} of this machine is another one`);
    const { folder, files } = await copiedFiles(path);
    for (const { name: file, bytes } of files) await this.#openOne(join(folder, file), bytes);
    this.#say(CopyingReply.Files({ files: [...files], parts: own.parts }));
    this.#named.resolve();
  }

  /** Kept open: a newer version that takes its place under the same name is another file. */
  async #openOne(path: string, bytes: number): Promise<void> {
    const handle = await open(path, "r");
    if (this.#ended) await handle.close();
    else this.#files.push({ handle, bytes });
  }

  async #answerAll(): Promise<void> {
    this.#reading += 1;
    try {
      if (this.#isOpened) await this.#named.promise;
      for (let read = this.#asked.shift(); read && !this.#ended; read = this.#asked.shift())
        await this.#answer(read);
    } finally {
      this.#reading -= 1;
    }
  }

  async #answer({ file, offset, length }: Read): Promise<void> {
    const found = this.#files[file];
    if (!found || offset + length > found.bytes)
      throw new Problem("invalid", `there is no byte ${offset + length} of file ${file}`);
    const bytes = new Uint8Array(length);
    const { bytesRead } = await found.handle.read(bytes, 0, length, offset);
    if (bytesRead < length) throw new Problem("invalid", "the file was cut short meanwhile");
    const part = CopyingReply.Part({ file, offset, hash: await hashOfBytes(bytes) });
    while (!this.#ended && !this.#link.sendBody(this.#envelope(part), bytes, true)) await this.#room.promise;
  }

  /** Why, and that is all that is said. */
  #refuse(error: unknown): void {
    if (this.#ended) return;
    this.#say(CopyingReply.Refused({ problem: problemBody(error) }));
    this.#link.close();
  }

  #say(message: CopyingReply): void {
    this.#link.send(this.#envelope(message));
  }

  #envelope(message: CopyingReply): Envelope {
    return {
      to: `${this.#link.peer.node}/files` as Address,
      from: `${this.#ports.self}/files` as Address,
      message,
    };
  }
}
