/**
 * What this machine needs of a model and has not, from a machine of the home that has it: headers first, then the tensors of its layers
 * alone. What has arrived stays, whatever breaks; the next try goes on with the rest.
 */
import type { Clock } from "#actors/runtime/clock";
import type { Link } from "#actors/runtime/transport/network";
import { viewCheckpoint } from "#actors/shard-worker/weights/checkpoint-view";
import {
  type CopiedModel,
  type CopiedPart,
  hashOfBytes,
  PartialCopy,
} from "#actors/shard-worker/weights/partial-copy";
import { shardRanges } from "#actors/shard-worker/weights/shard-ranges";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import type { LayerRange } from "#protocol/shard";
import { shownBytes } from "../terminal/table.ts";
import { FilesLink } from "./asking.ts";

export interface FetchPorts {
  readonly self: NodeId;
  readonly clock: Clock;
  /** Machines that may have it, likeliest first. */
  readonly sources: () => readonly NodeId[];
  readonly nameOf: (node: NodeId) => string;
  /** Opens a link for files. Throws Problem. */
  readonly dial: (node: NodeId, signal: AbortSignal) => Promise<Link>;
  /** Where models are kept. */
  readonly modelsFolder: string;
  /** Bytes that may still be written to the disk of a folder. */
  readonly freeBytes: (folder: string) => Promise<number>;
}

export interface Fetching extends CopiedModel {
  /** Absent: all. */
  readonly layers?: LayerRange;
  readonly signal: AbortSignal;
  readonly progress: (fetchedBytes: number, totalBytes: number) => void;
}

/** Parts asked for and not yet here: 8 MiB, what a line of 1 Gbit/s with 60 ms carries. */
const WINDOW = 8;
/** Written to the disk for good so often; after a crash no more than this is fetched again. */
const SETTLE_PARTS = 64;
/** Rounds over all sources in which nothing arrived, and the waits before them. */
const PAUSES_MS: readonly number[] = [0, 500, 2_000, 5_000];
const DIAL_MS = 5_000;
/** Left free on the disk, for everything else that writes there. */
const RESERVE_BYTES = 64e6;
/** A wrong hash is a bad line or memory; a second one of the same part a bad disk there. */
const HASH_TRIES = 2;

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
  #copy: PartialCopy | undefined;
  #arrived = 0;
  #isChecked = false;

  constructor(ports: FetchPorts, asked: Fetching) {
    this.#ports = ports;
    this.#asked = asked;
  }

  async run(): Promise<string> {
    const { modelsFolder } = this.#ports;
    this.#copy = await PartialCopy.known(modelsFolder, this.#asked);
    if (!this.#copy || this.#wanted(this.#copy).some((part) => !this.#copy?.isHere(part)))
      await this.#fromAny();
    if (!this.#copy) throw new Error("unreachable: the fetch has ended without a copy");
    return await this.#finished(this.#copy);
  }

  /** In the words of whoever waits for the model. */
  async explained(error: unknown): Promise<unknown> {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "ENOSPC" && code !== "EDQUOT") return error;
    return await this.#full(0);
  }

  async close(): Promise<void> {
    await this.#copy?.close();
  }

  /** On a full disk nothing more can be noted; what was noted before stands. */
  async #settle(): Promise<void> {
    await this.#copy?.settle().catch(() => {});
  }

  /** Tries all that may have it, again and again as long as something comes. */
  async #fromAny(): Promise<void> {
    let problems: readonly Problem[] = [];
    for (let round = 0; round < PAUSES_MS.length; round++) {
      await this.#pause(PAUSES_MS[round] ?? 0);
      const before = this.#arrived;
      const tried = await this.#round();
      if (!tried) return;
      problems = tried;
      if (this.#arrived > before) round = 0;
      else if (problems.every(({ kind }) => kind === "notFound")) break;
    }
    throw this.#nobody(problems);
  }

  /** Undefined once all is here, else what was wrong with each source. */
  async #round(): Promise<readonly Problem[] | undefined> {
    const { sources, nameOf } = this.#ports;
    const problems: Problem[] = [];
    for (const node of sources()) {
      try {
        await this.#from(node);
        return undefined;
      } catch (error) {
        this.#asked.signal.throwIfAborted();
        if (!(error instanceof Problem) || error.kind === "doesNotFit") throw error;
        problems.push(new Problem(error.kind, `${nameOf(node)}: ${error.message}`, { cause: error }));
      }
    }
    return problems;
  }

  #nobody(problems: readonly Problem[]): Problem {
    const { model } = this.#asked;
    const why = problems.map(({ message }) => message).join("; ");
    return new Problem(
      problems.some(({ kind }) => kind !== "notFound") ? "unavailable" : "notFound",
      `${model} is not on this machine, and cannot be had of another now${why ? `: ${why}` : ""}`,
      { remedy: `start a machine that has it, or fetch it here: exo pull ${model}` },
    );
  }

  async #from(node: NodeId): Promise<void> {
    const { dial, self, clock, modelsFolder } = this.#ports;
    const { model, digest, signal } = this.#asked;
    const late = new AbortController();
    const cancel = clock.after(DIAL_MS, () => late.abort());
    const dialled = await dial(node, AbortSignal.any([signal, late.signal])).finally(cancel);
    const link = new FilesLink(dialled, { self, clock });
    const stop = () => link.close();
    signal.addEventListener("abort", stop, { once: true });
    try {
      const files = await link.open({ model, digest });
      await this.#copy?.close();
      const copy = await PartialCopy.begun(modelsFolder, { model, digest }, files);
      this.#copy = copy;
      await this.#check(copy);
      await this.#take(link, copy, copy.partsOf(copy.heads));
      await this.#take(link, copy, this.#wanted(copy));
    } finally {
      signal.removeEventListener("abort", stop);
      link.close();
      await this.#settle();
    }
  }

  /** An earlier try may have been cut off anywhere. Progress too: it takes minutes for a large model. */
  async #check(copy: PartialCopy): Promise<void> {
    if (this.#isChecked) return;
    const { signal, progress } = this.#asked;
    const parts = copy.partsOf(copy.whole);
    const total = bytesOf(parts);
    let found = 0;
    await copy.check(parts, signal, ({ length }) => {
      found += length;
      progress(found, total);
    });
    this.#isChecked = true;
  }

  /** Nothing but the heads until those are here. */
  #wanted(copy: PartialCopy): readonly CopiedPart[] {
    const heads = copy.partsOf(copy.heads);
    if (heads.some((part) => !copy.isHere(part))) return heads;
    const { layers } = this.#asked;
    return copy.partsOf(layers ? [...copy.heads, ...shardRanges(copy.path, layers)] : copy.whole);
  }

  async #take(link: FilesLink, copy: PartialCopy, wanted: readonly CopiedPart[]): Promise<void> {
    const missing = wanted.filter((part) => !copy.isHere(part));
    const total = bytesOf(wanted);
    let fetched = total - bytesOf(missing);
    await this.#requireRoom(bytesOf(missing));
    const queue = missing.values();
    let unsettled = 0;
    const work = async () => {
      for (const part of queue) {
        await this.#takeOne(link, copy, part);
        fetched += part.length;
        this.#arrived += part.length;
        this.#asked.progress(fetched, total);
        unsettled += 1;
        if (unsettled < SETTLE_PARTS) continue;
        unsettled = 0;
        await copy.settle();
      }
    };
    const workers = Array.from({ length: WINDOW }, work);
    await Promise.all(workers).catch(async (error: unknown) => {
      link.close();
      await Promise.allSettled(workers);
      throw error;
    });
  }

  async #takeOne(link: FilesLink, copy: PartialCopy, part: CopiedPart): Promise<void> {
    for (let left = HASH_TRIES; ; left--) {
      const { bytes, hash } = await link.read(part);
      if (bytes.length === part.length && (await hashOfBytes(bytes)) === hash)
        return await copy.put(part, bytes, hash);
      if (left <= 1)
        throw new Problem("network", `${copy.files[part.file]?.name} arrives damaged at byte ${part.offset}`);
    }
  }

  async #requireRoom(needed: number): Promise<void> {
    const { freeBytes, modelsFolder } = this.#ports;
    if (needed > 0 && needed + RESERVE_BYTES > (await freeBytes(modelsFolder)))
      throw await this.#full(needed);
  }

  async #full(needed: number): Promise<Problem> {
    const { freeBytes, modelsFolder, nameOf, self } = this.#ports;
    const free = shownBytes(await freeBytes(modelsFolder));
    const need = needed > 0 ? `${shownBytes(needed)} more are needed for` : "there is no more room for";
    return new Problem(
      "doesNotFit",
      `the disk of ${nameOf(self)} is full: ${need} its part of ${this.#asked.model} in ${modelsFolder}, ${free} are free`,
      {
        remedy: `free some space there (exo ls, exo rm), or leave it out with --nodes; what has arrived is kept`,
      },
    );
  }

  /** A whole model is one like those that were pulled, once it proves to be what was asked for. */
  async #finished(copy: PartialCopy): Promise<string> {
    const { model, digest } = this.#asked;
    if (copy.partsOf(copy.whole).some((part) => !copy.isHere(part))) return copy.path;
    const { digest: own } = await viewCheckpoint(copy.path);
    await copy.close();
    if (own.whole !== digest) {
      // Kept, it would fail every later try.
      await copy.remove();
      throw new Problem("invalid", `the ${model} that arrived is not the one that was asked for`, {
        remedy: `fetch it here: exo pull ${model}`,
      });
    }
    return await copy.publish(this.#ports.modelsFolder, model.replace(/:.*$/, ""));
  }

  async #pause(ms: number): Promise<void> {
    const { clock } = this.#ports;
    const { signal } = this.#asked;
    signal.throwIfAborted();
    if (ms === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(ms, resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise.finally(cancel);
    signal.throwIfAborted();
  }
}

const bytesOf = (parts: readonly CopiedPart[]): number => parts.reduce((sum, { length }) => sum + length, 0);
