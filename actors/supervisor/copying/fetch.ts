/**
 * What this machine needs of a model and has not, from a machine of the home that has it: headers first, then the tensors of its layers
 * alone. What has arrived stays, whatever breaks; the next try goes on with the rest.
 */
import { mkdir } from "node:fs/promises";
import type { Clock } from "#actors/runtime/clock";
import type { Link } from "#actors/runtime/transport/network";
import { viewCheckpoint } from "#actors/shard-worker/weights/checkpoint-view";
import { checkFiles, headBytesOf } from "#actors/shard-worker/weights/offered-files";
import { type CopiedPart, PartialCopy } from "#actors/shard-worker/weights/partial-copy";
import type { CopiedModel } from "#actors/shard-worker/weights/partial-list";
import { shardRanges } from "#actors/shard-worker/weights/shard-ranges";
import type { DigestParts } from "#protocol/copying";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { LayerRange } from "#protocol/shard";
import { FilesLink, type Offered } from "./asking.ts";
import { DiskRoom, type DiskRoomPorts } from "./disk-room.ts";
import { checkHeads, checkParts } from "./proof.ts";
import { Rounds } from "./rounds.ts";
import { take } from "./taking.ts";

export interface FetchPorts extends DiskRoomPorts {
  readonly clock: Clock;
  /** Machines that may have it, likeliest first. */
  readonly sources: () => readonly NodeId[];
  /** Opens a link for files. Throws Problem. */
  readonly dial: (node: NodeId, signal: AbortSignal) => Promise<Link>;
}

export interface Fetching extends CopiedModel {
  /** Absent: all. */
  readonly layers?: LayerRange;
  readonly signal: AbortSignal;
  readonly progress: (fetchedBytes: number, totalBytes: number) => void;
}

const DIAL_MS = 5_000;

/** Where a worker finds it. Throws Problem: `notFound` where no machine that is there has it, `doesNotFit` where the disk is full. */
export async function fetchModel(ports: FetchPorts, fetching: Fetching): Promise<string> {
  const fetch = new Fetch(ports, fetching);
  try {
    return await fetch.run();
  } catch (error) {
    throw await fetch.explained(error);
  } finally {
    await fetch.close();
  }
}

class Fetch {
  readonly #ports: FetchPorts;
  readonly #asked: Fetching;
  readonly #room: DiskRoom;
  /** What is here of it, in files as one machine or another has them. */
  #copies: readonly PartialCopy[] = [];
  readonly #givers = new Set<NodeId>();
  #arrived = 0;

  constructor(ports: FetchPorts, asked: Fetching) {
    this.#ports = ports;
    this.#asked = asked;
    this.#room = new DiskRoom(ports, asked.model);
  }

  async run(): Promise<string> {
    this.#copies = await PartialCopy.known(this.#ports.modelsFolder, this.#asked);
    const complete = this.#copies.find((copy) => this.#isComplete(copy));
    if (complete) return await this.#finished(complete);
    for (const copy of this.#copies)
      await this.#check(copy).catch((error: unknown) => this.#unusable(copy, error));
    const rounds = new Rounds<PartialCopy>({
      ...this.#ports,
      ...this.#asked,
      arrived: () => this.#arrived,
      from: (node, isLast) => this.#from(node, !isLast && this.#copies.length > 0),
    });
    return await this.#finished(await rounds.run());
  }

  /** In the words of whoever waits for the model. */
  async explained(error: unknown): Promise<unknown> {
    return await this.#room.explained(error);
  }

  async close(): Promise<void> {
    for (const copy of this.#copies) await copy.close();
  }

  #isComplete(copy: PartialCopy): boolean {
    try {
      return this.#wanted(copy).every((part) => copy.isHere(part));
    } catch (error) {
      // Its headers are damaged, which is found and mended.
      if (error instanceof Problem) return false;
      throw error;
    }
  }

  /** Headers that are as they arrived, and not sound, are so in every later try. */
  async #unusable(copy: PartialCopy, error: unknown): Promise<void> {
    this.#asked.signal.throwIfAborted();
    if (!(error instanceof Problem)) throw error;
    await this.#removed(copy);
  }

  /** An earlier try may have been cut off anywhere. Progress too: it takes minutes for a large model. */
  async #check(copy: PartialCopy): Promise<void> {
    const { signal, progress } = this.#asked;
    let found = 0;
    // Where the rest lies, only sound headers say.
    for (const parts of [() => copy.partsOf(copy.heads), () => this.#wanted(copy)]) {
      const wanted = parts();
      const total = bytesOf(wanted);
      await copy.check(wanted, signal, ({ length }) => {
        found += length;
        progress(found, total);
      });
    }
  }

  /** Undefined where it has other files than are begun here, and those alone are wanted. */
  async #from(node: NodeId, onlyBegun: boolean): Promise<PartialCopy | undefined> {
    const { dial, self, clock } = this.#ports;
    const { model, digest, signal } = this.#asked;
    const late = new AbortController();
    const cancel = clock.after(DIAL_MS, () => late.abort());
    const dialled = await dial(node, AbortSignal.any([signal, late.signal])).finally(cancel);
    const link = new FilesLink(dialled, { self, clock });
    const stop = () => link.close();
    signal.addEventListener("abort", stop, { once: true });
    try {
      const offered = await link.open({ model, digest });
      const parts = checkParts(offered.parts, digest);
      const copy = await this.#copyOf(offered, onlyBegun);
      if (copy) await this.#fill(copy, { link, parts, node });
      return copy;
    } finally {
      signal.removeEventListener("abort", stop);
      link.close();
      // On a full disk nothing more can be noted; what was noted before stands.
      for (const copy of this.#copies) await copy.settle().catch(() => {});
    }
  }

  async #copyOf({ files }: Offered, onlyBegun: boolean): Promise<PartialCopy | undefined> {
    const begun = this.#copies.find((copy) => Bun.deepEquals(copy.files, files));
    if (begun || onlyBegun) return begun;
    const { modelsFolder } = this.#ports;
    checkFiles(files);
    // How much is free is asked of the folder.
    await mkdir(modelsFolder, { recursive: true });
    await this.#room.require(headBytesOf(files));
    const copy = await PartialCopy.begun(modelsFolder, this.#asked, files);
    this.#copies = [...this.#copies, copy];
    return copy;
  }

  async #fill(
    copy: PartialCopy,
    { link, parts, node }: { readonly link: FilesLink; readonly parts: DigestParts; readonly node: NodeId },
  ): Promise<void> {
    const heads = copy.partsOf(copy.heads);
    const isItsOwn = heads.some((part) => !copy.isHere(part));
    await this.#take(link, copy, { parts: heads, node });
    // What a GGUF file says of its config needs a tensor or two, which come with every part.
    const isGguf = copy.path.endsWith(".gguf");
    if (!isGguf) await this.#prove(copy, { parts, isItsOwn });
    await this.#take(link, copy, { parts: this.#wanted(copy), node });
    if (isGguf) await this.#prove(copy, { parts, isItsOwn });
  }

  /** Throws Problem; what is of another model than was asked for is deleted, as it would be so in every later try. */
  async #prove(
    copy: PartialCopy,
    { parts, isItsOwn }: { readonly parts: DigestParts; readonly isItsOwn: boolean },
  ): Promise<void> {
    try {
      await checkHeads(copy, parts);
    } catch (error) {
      if (!(error instanceof Problem && error.kind === "invalid")) throw error;
      await this.#removed(copy);
      // Who gave nothing of the headers is not to blame.
      throw isItsOwn ? error : new Problem("network", `what was here already is not sound: ${error.message}`);
    }
  }

  async #removed(copy: PartialCopy): Promise<void> {
    this.#copies = this.#copies.filter((each) => each !== copy);
    await copy.close();
    await copy.remove();
  }

  /** Nothing but the heads until those are here. */
  #wanted(copy: PartialCopy): readonly CopiedPart[] {
    const heads = copy.partsOf(copy.heads);
    if (heads.some((part) => !copy.isHere(part))) return heads;
    const { layers } = this.#asked;
    return copy.partsOf(layers ? [...copy.heads, ...shardRanges(copy.path, layers)] : copy.whole);
  }

  async #take(
    link: FilesLink,
    copy: PartialCopy,
    { parts: wanted, node }: { readonly parts: readonly CopiedPart[]; readonly node: NodeId },
  ): Promise<void> {
    const parts = wanted.filter((part) => !copy.isHere(part));
    const total = bytesOf(wanted);
    let fetched = total - bytesOf(parts);
    await this.#room.require(bytesOf(parts));
    const arrived = ({ length }: CopiedPart) => {
      fetched += length;
      this.#arrived += length;
      this.#givers.add(node);
      this.#asked.progress(fetched, total);
    };
    await take(link, copy, { parts, arrived });
  }

  /** A whole model is one like those that were pulled, once it proves to be what was asked for. */
  async #finished(copy: PartialCopy): Promise<string> {
    const { model, digest } = this.#asked;
    for (const other of this.#copies) if (other !== copy) await this.#removed(other);
    if (copy.partsOf(copy.whole).some((part) => !copy.isHere(part))) return copy.path;
    const { digest: own } = await viewCheckpoint(copy.path);
    if (own.whole !== digest) {
      // Kept, it would fail every later try.
      await this.#removed(copy);
      throw new Problem("invalid", `the ${model} that arrived is not the one that was asked for`, {
        remedy: `fetch it here: exo pull ${model}`,
      });
    }
    await copy.close();
    const machines = [...this.#givers].map(this.#ports.nameOf);
    const { modelsFolder } = this.#ports;
    return await copy.publish(modelsFolder, model.replace(/:.*$/, ""), { machines, digest });
  }
}

const bytesOf = (parts: readonly CopiedPart[]): number => parts.reduce((sum, { length }) => sum + length, 0);
