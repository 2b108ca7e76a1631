/** Memory for what the home places: idle models give way to it, those that the home placed and those that one machine holds by itself. */
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import type { PlacedInstance } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { Choice } from "./choose.ts";
import type { Claims } from "./claims.ts";
import { fasterThan } from "./faster.ts";
import { afterStopping, NeedsIdle, nameOf, type Other } from "./giving-way.ts";
import type { CoordinatorPorts } from "./ports.ts";
import { decided, type Wanted } from "./survey.ts";
import { idleSince, type Sights } from "./trouble.ts";
import { Turns } from "./turns.ts";

/** A machine that says nothing until then keeps what it holds. */
const ALONE_MS = 2_000;

export interface IdleRoomPorts extends CoordinatorPorts {
  readonly claims: Claims;
  readonly sights: () => Pick<Sights, "nowMs" | "reportOf">;
  /** Ends a model that the home placed, once answers under way have ended. Throws Problem. */
  readonly release: (model: string) => Promise<void>;
}

type Giving = Parameters<CoordinatorPorts["giveWay"]>[1];

/** All but what the room itself knows. */
export type ToPlace = Omit<Wanted, "others">;

export class IdleRoom {
  readonly #ports: IdleRoomPorts;
  /** Instances whose places are being decided, by how many: two that come at once do not stop each other. */
  readonly #deciding = new Map<string, number>();
  readonly #turns: Turns;

  constructor(ports: IdleRoomPorts) {
    this.#ports = ports;
    this.#turns = new Turns(ports.clock);
  }

  /** Where that instance is to go; what does not fit otherwise has idle models stopped first, those that were asked longest ago. Throws Problem. */
  async decided(instance: string, asked: ToPlace): Promise<Choice> {
    return await this.#during(instance, () =>
      this.#decided({ ...asked, others: (nodes) => this.#others(nodes) }),
    );
  }

  /** As `decided`, where that is much faster than by whoever asks; nothing is stopped for it. Throws Problem. */
  async faster(instance: string, asked: ToPlace): Promise<Choice | undefined> {
    return await this.#during(instance, () => fasterThan({ ...this.#ports, turns: this.#turns }, asked));
  }

  async #during<T>(instance: string, work: () => Promise<T>): Promise<T> {
    this.#deciding.set(instance, (this.#deciding.get(instance) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const others = (this.#deciding.get(instance) ?? 1) - 1;
      if (others > 0) this.#deciding.set(instance, others);
      else this.#deciding.delete(instance);
    }
  }

  async #decided(wanted: Wanted): Promise<Choice> {
    const ports = { ...this.#ports, turns: this.#turns };
    try {
      return await decided(ports, wanted);
    } catch (error) {
      if (!(error instanceof NeedsIdle)) throw error;
      const stopped = await this.#stop(error.models, wanted.model);
      const choice = await decided(ports, {
        ...wanted,
        isEnding: wanted.isEnding || stopped.length > 0,
        stopped: { models: stopped, before: error.free },
      }).catch((failed) => {
        throw afterStopping(stopped, failed);
      });
      const notes = stopped.map((each) => `${nameOf(each)} was stopped for it, as nobody asked it anything`);
      return { ...choice, notes: [...notes, ...choice.notes] };
    }
  }

  /** Answers which it stopped: the end of each takes a while, in which others end too, or are used again and stay. Throws Problem. */
  async #stop(models: readonly Other[], to: string): Promise<readonly Other[]> {
    const stopped: Other[] = [];
    for (const each of models) {
      const isGone = await (each.alone
        ? this.#gaveWay(each.alone.node, { model: each.model, to })
        : this.#stopPlaced(each.model, to));
      // Without its room the rest would be stopped for nothing.
      if (isGone === "used") break;
      if (isGone === "stopped") {
        this.#ports.troubled(`${nameOf(each)} was stopped for ${to}, as nobody asked it anything`);
        stopped.push(each);
      }
    }
    return stopped;
  }

  /**
   * The machine of its last stage, to which all requests come, ends its part first, or says that somebody asks again: once the home has
   * agreed that the model ends there is no way back, and an answer that began meanwhile would be cut.
   */
  async #stopPlaced(model: string, to: string): Promise<"stopped" | "gone" | "used"> {
    const { agreed, sights, release } = this.#ports;
    const record = agreed().instances.find((known) => known.model === model);
    const last = record?.stages.at(-1);
    if (!record || !last || record.state === "failed") return "gone";
    if (record.state !== "draining") {
      if (!this.#isIdle(record, sights())) return "used";
      const part = { instance: record.id, epoch: record.epoch };
      if ((await this.#gaveWay(last.node, { model, to, part })) === "used") return "used";
      // Meanwhile it may have been placed elsewhere: that was not asked.
      const isSame = agreed().instances.some(({ id, epoch }) => id === record.id && epoch === record.epoch);
      if (!isSame || this.#deciding.has(record.id)) return "used";
    }
    await release(model).catch(ifGone);
    return "stopped";
  }

  async #gaveWay(node: NodeId, giving: Giving): Promise<"stopped" | "used"> {
    try {
      await this.#ports.giveWay(node, giving);
      return "stopped";
    } catch (error) {
      // It is used again, or not heard of: what others have may be enough by now, and whoever asked hears if it is not.
      if (error instanceof Problem) return "used";
      throw error;
    }
  }

  #isIdle(record: PlacedInstance, sights: Pick<Sights, "reportOf">): boolean {
    return !this.#deciding.has(record.id) && idleSince(record, sights) !== undefined;
  }

  async #others(nodes: readonly NodeView[]): Promise<readonly Other[]> {
    const { agreed, claims, sights } = this.#ports;
    const alone = await Promise.all(nodes.map((view) => this.#alone(view)));
    const now = sights();
    const placed = agreed()
      .instances.filter(({ id }) => !this.#deciding.has(id))
      .map((each) => ({
        model: each.model,
        bytes: claims.takenBy(each, now),
        idleSinceMs: idleSince(each, now),
      }));
    return [...placed, ...alone.flat()];
  }

  async #alone({ node, name }: NodeView): Promise<readonly Other[]> {
    const { alone, clock } = this.#ports;
    const models = await alone(node, ALONE_MS).catch((error: unknown) => {
      if (error instanceof Problem) return [];
      throw error;
    });
    return models.map(({ model, bytes, idleMs }) => ({
      model,
      bytes: new Map([[node, bytes]]),
      idleSinceMs: idleMs === undefined ? undefined : clock.nowMs() - idleMs,
      alone: { node, name },
    }));
  }
}

function ifGone(error: unknown): void {
  if (!(error instanceof Problem && error.kind === "notFound")) throw error;
}
