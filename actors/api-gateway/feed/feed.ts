/** The changes of this home as they happen, numbered, for all who watch. */
import { Problem } from "#protocol/problem";
import type { GatewayPorts } from "../ports.ts";
import { type ClusterEvent, eventsBetween, type ToldModel, toldModel, type View } from "./cluster-events.ts";
import { type Sent, Subscriber } from "./subscriber.ts";

/** Events that a reader who was cut off can still be given; with all of them it is not too slow yet. */
const KEPT_MAX = 256;
const SUBSCRIBERS_MAX = 256;
/** A node's facts, and how far a model is loaded, change all the time: nobody wants them more often. */
const FACTS_MS = 2000;

type FeedPorts = Pick<GatewayPorts, "nodes" | "loaded" | "changed" | "nowMs" | "after" | "newId" | "report">;

export interface Snapshot {
  /** The id of the last event in it. */
  readonly version: string;
  readonly nodes: View["nodes"];
  readonly models: readonly ToldModel[];
}

export class Feed {
  readonly #ports: FeedPorts;
  /** Ids of another process's feed are not ours. */
  #era = "";
  readonly #subscribers = new Set<Subscriber>();
  readonly #kept: Sent[] = [];
  readonly #toldMs = new Map<string, number>();
  #count = 0;
  #view: View = { nodes: [], models: [] };
  #first: Promise<void> | undefined;
  #looking = false;
  #again = false;
  #cancelLook: (() => void) | undefined;
  #end = () => {};

  constructor(ports: FeedPorts) {
    this.#ports = ports;
  }

  /** What there is. Throws a Problem when it cannot be told. */
  async snapshot(): Promise<Snapshot> {
    await this.#begun();
    return { version: this.#version, ...this.#told };
  }

  /** Goes on after `lastId` where that is still known, else begins with a snapshot. Throws a Problem when too many watch. */
  async subscribe(lastId: string | null): Promise<Subscriber> {
    await this.#begun();
    if (this.#subscribers.size >= SUBSCRIBERS_MAX)
      throw new Problem("overloaded", `${SUBSCRIBERS_MAX} readers watch the events already`);
    const subscriber = new Subscriber();
    for (const event of this.#since(lastId) ?? [this.#snapshotEvent()]) subscriber.tell(event);
    this.#subscribers.add(subscriber);
    return subscriber;
  }

  leave(subscriber: Subscriber): void {
    subscriber.close();
    this.#subscribers.delete(subscriber);
  }

  /** Tells all readers why they are told no more. */
  close(reason: string): void {
    this.#end();
    this.#cancelLook?.();
    for (const each of this.#subscribers) each.close("closed", { reason });
    this.#subscribers.clear();
  }

  /** Nobody looks before the first reader comes; from then on what happens between two readers is kept too. */
  #begun(): Promise<void> {
    this.#first ??= this.#begin().catch((error: unknown) => {
      this.#first = undefined;
      throw error;
    });
    return this.#first;
  }

  async #begin(): Promise<void> {
    this.#view = await this.#seen();
    this.#era = this.#ports.newId().slice(0, 8);
    this.#end = this.#ports.changed(() => this.#changed());
  }

  async #seen(): Promise<View> {
    const [nodes, models] = await Promise.all([this.#ports.nodes(), this.#ports.loaded()]);
    return { nodes, models };
  }

  #changed(): void {
    if (this.#looking) this.#again = true;
    else void this.#look();
  }

  async #look(): Promise<void> {
    this.#looking = true;
    do {
      this.#again = false;
      try {
        this.#advance(await this.#seen());
      } catch (error) {
        if (!(error instanceof Problem)) this.#ports.report?.(error);
        this.#lookAfter(FACTS_MS); // whoever was asked is busy: what changed is not lost
      }
    } while (this.#again);
    this.#looking = false;
  }

  /** Tells what is new, but what was told a moment ago of the same only later. */
  #advance(seen: View): void {
    const after = this.#damped(seen);
    for (const event of eventsBetween(this.#view, after)) this.#publish(event);
    this.#view = after;
  }

  /** The same with facts and progress as they were told last, where that is not long ago. */
  #damped(seen: View): View {
    const nodes = seen.nodes.map((node) => {
      const old = this.#view.nodes.find((each) => each.node === node.node);
      if (!(old?.facts && node.facts) || Bun.deepEquals(old.facts, node.facts)) return node;
      return this.#mayTell(node.node) ? node : { ...node, facts: old.facts };
    });
    const models = seen.models.map((model) => {
      const old = this.#view.models.find((each) => each.path === model.path);
      if (old?.state !== "loading" || model.state !== "loading") return model;
      return old.loadedBytes === model.loadedBytes || this.#mayTell(model.path) ? model : old;
    });
    return { nodes, models };
  }

  #mayTell(what: string): boolean {
    const nowMs = this.#ports.nowMs();
    const waitMs = (this.#toldMs.get(what) ?? -FACTS_MS) + FACTS_MS - nowMs;
    if (waitMs > 0) this.#lookAfter(waitMs);
    else {
      this.#toldMs.delete(what);
      this.#toldMs.set(what, nowMs);
      const [oldest] = this.#toldMs.keys();
      if (this.#toldMs.size > KEPT_MAX && oldest !== undefined) this.#toldMs.delete(oldest);
    }
    return waitMs <= 0;
  }

  #lookAfter(ms: number): void {
    this.#cancelLook ??= this.#ports.after(ms, () => {
      this.#cancelLook = undefined;
      this.#changed();
    });
  }

  #publish({ type, ...data }: ClusterEvent): void {
    this.#count += 1;
    const event = { id: this.#version, type, data };
    this.#kept.push(event);
    if (this.#kept.length > KEPT_MAX) this.#kept.shift();
    for (const each of this.#subscribers) each.tell(event);
  }

  get #version(): string {
    return `${this.#era}-${this.#count}`;
  }

  get #told(): Omit<Snapshot, "version"> {
    return { nodes: this.#view.nodes, models: this.#view.models.map(toldModel) };
  }

  #snapshotEvent(): Sent {
    return { id: this.#version, type: "snapshot", data: this.#told };
  }

  /** Undefined when some of it is not kept any more, or the id is none of ours. */
  #since(lastId: string | null): readonly Sent[] | undefined {
    const [era, number] = lastId?.split("-") ?? [];
    if (era !== this.#era || number === undefined || !/^\d{1,15}$/.test(number)) return undefined;
    const missed = this.#count - Number(number);
    if (missed < 0 || missed > this.#kept.length) return undefined;
    return missed === 0 ? [] : this.#kept.slice(-missed);
  }
}
