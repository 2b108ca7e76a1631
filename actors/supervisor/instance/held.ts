/** The models that this machine holds by itself, each with one worker. */
import { Problem } from "#protocol/problem";
import type { Shard } from "#protocol/shard";
import type { ModelState } from "#protocol/supervisor";
import { shownIdle } from "./idle.ts";
import { Instance, type InstancePorts, type Ready } from "./instance.ts";

export interface HeldPorts extends Omit<InstancePorts, "ended"> {
  /** The shard for a user's name of a model, which `mayFetch` brings here; throws Problem `notFound` with the nearest name. */
  readonly resolve: (model: string, mayFetch: boolean) => Promise<Shard>;
  /** Readies what a new worker needs; throws Problem. */
  readonly prepare: () => Promise<void>;
  /** Whether a model's weights would find room in the memory that is free here, and in so many bytes more. */
  readonly fits: (path: string, freedBytes: number) => Promise<boolean>;
  /** Where that model lies on this machine; nothing is fetched. Throws Problem when it is not here. */
  readonly locate: (model: string) => Promise<string>;
}

/** Models that may be held at once: beyond this a machine is misconfigured rather than busy. */
const MODELS_MAX = 64;

export class HeldModels {
  readonly #ports: HeldPorts;
  /** By path, so that two names of one checkpoint share one worker. */
  readonly #instances = new Map<string, Instance>();

  #lastRoom: Promise<unknown> = Promise.resolve();

  constructor(ports: HeldPorts) {
    this.#ports = ports;
  }

  get all(): readonly Instance[] {
    return [...this.#instances.values()];
  }

  get states(): readonly ModelState[] {
    return this.all.map((instance) => instance.state());
  }

  /** Of that name, or at that path. */
  has(model: string): boolean {
    return this.#instances.has(model) || this.byName(model) !== undefined;
  }

  byName(model: string): Instance | undefined {
    return this.all.find(({ shard }) => shard.model === model);
  }

  /** Resolves once the model can answer, which is loaded if need be; throws Problem, also when `left` is aborted. */
  async ready(
    model: string,
    { mayFetch, left }: { mayFetch: boolean; left: AbortSignal | undefined },
  ): Promise<Ready & { readonly notes?: string[] }> {
    const { instance, notes } = await this.#named(model, mayFetch);
    return { ...(await instance.ready(left)), ...(notes.length > 0 && { notes: [...notes] }) };
  }

  /** What those take that give way to others. */
  get idleBytes(): number {
    return this.all.filter(({ isIdle }) => isIdle).reduce((sum, each) => sum + bytesOf(each), 0);
  }

  /** As another needs its memory, and if nobody asks it anything still; resolves when its worker is gone. Throws Problem. */
  async giveWay(model: string): Promise<void> {
    const held = this.byName(model);
    if (!held?.isIdle) throw new Problem("unavailable", `${model} is not idle here any more`);
    await held.stop(false);
  }

  /** Resolves when its worker is gone; throws Problem. */
  async stop(model: string, now: boolean): Promise<void> {
    const path = async () => (await this.#ports.locate(model).catch(ifUnknown)) ?? "";
    const held = this.byName(model) ?? this.#instances.get(await path());
    if (!held) throw new Problem("notFound", `${model} is not loaded`, { remedy: "`exo ps` lists what is" });
    await held.stop(now);
  }

  /** A model that was given by path goes on by the short name it is listed under, where nothing else has that name. */
  async #named(
    model: string,
    mayFetch: boolean,
  ): Promise<{ readonly instance: Instance; readonly notes: readonly string[] }> {
    try {
      const shard = await this.#ports.resolve(model, mayFetch);
      if (this.#instances.has(shard.path)) return { instance: this.#of(shard), notes: [] };
      await this.#ports.prepare();
      const notes = await this.#roomFor(shard);
      return { instance: this.#of(shard), notes };
    } catch (error) {
      const held = this.byName(model);
      if (held && error instanceof Problem && error.kind === "notFound") return { instance: held, notes: [] };
      throw error;
    }
  }

  /** One after the other, so that two that come at once do not stop models twice for the same room. What a load is yet to take is not counted: the one that finds no room says so. */
  #roomFor(shard: Shard): Promise<readonly string[]> {
    const next = this.#lastRoom.then(() => this.#makeRoom(shard));
    this.#lastRoom = next.catch(() => {}); // Told to who asked.
    return next;
  }

  /** Idle models give way, the longest idle first, where that is enough; answers what was done, for who asked. */
  async #makeRoom(shard: Shard): Promise<readonly string[]> {
    const { fits } = this.#ports;
    const { path } = shard;
    // Who came at once with this one asked for the same model.
    if (this.#instances.has(path)) return [];
    const idle = this.all.filter(({ isIdle }) => isIdle).toSorted((a, b) => b.idleMs - a.idleMs);
    if (idle.length === 0 || (await fits(path, 0))) return [];
    const going: Instance[] = [];
    let freed = 0;
    for (const each of idle) {
      going.push(each);
      freed += bytesOf(each);
      if (!(await fits(path, freed))) continue;
      // Somebody asked one of them while that was looked up; from here on nothing comes between.
      if (!going.every(({ isIdle }) => isIdle)) return await this.#makeRoom(shard);
      const notes = going.map(
        ({ shard: { model }, idleMs }) =>
          `${model} was stopped for it, as nobody asked it anything for ${shownIdle(idleMs)}`,
      );
      await Promise.all(going.map((old) => old.stop(false)));
      return notes;
    }
    // The load says what is short.
    return [];
  }

  #of(shard: Shard): Instance {
    const known = this.#instances.get(shard.path);
    if (known) return known;
    if (this.#instances.size >= MODELS_MAX) {
      throw new Problem("overloaded", `${MODELS_MAX} models are loaded already`, {
        remedy: "stop one: exo stop MODEL",
      });
    }
    const made = new Instance(shard, { ...this.#ports, ended: () => this.#instances.delete(shard.path) });
    this.#instances.set(shard.path, made);
    made.start();
    return made;
  }
}

const bytesOf = (instance: Instance): number => instance.state().facts?.weightBytes ?? 0;

function ifUnknown(error: unknown): undefined {
  if (!(error instanceof Problem)) throw error;
}
