/** One machine of a home in memory: what it holds, with workers that load and die when a test says so. */
import { ActorSystem } from "#actors/runtime/system";
import type { Transport } from "#actors/runtime/transport/transport";
import type { Exited, WorkerProcess } from "#actors/supervisor/instance/workers";
import { Holder, type PartWanted } from "#actors/supervisor/placement/holder";
import type { Envelope } from "#protocol/codec";
import type { Address, NodeId } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import type { HeldStage, PlacedInstance, Placement } from "#protocol/placement";
import type { Group, Shard } from "#protocol/shard";
import { type ShardWorker, ShardWorkerReply } from "#protocol/shard-worker";
import { seeded } from "../sim/random.ts";
import { VirtualTime } from "../sim/time.ts";
import { facts, me } from "./model.ts";

type Order = ReturnType<typeof ShardWorker.Load> | ReturnType<typeof ShardWorker.Join>;

/** A machine that leads its home, with workers that load when the test says so. */
export class Room {
  readonly time = new VirtualTime();
  readonly system = new ActorSystem(me, this.time.clock(seeded(1)));
  readonly told: string[] = [];
  readonly workers: {
    readonly name: Address;
    readonly kill: Exited;
    say(message: AnyMessage): void;
  }[] = [];
  readonly did: string[] = [];
  instances: readonly PlacedInstance[] = [];
  leader: NodeId | undefined = me;
  term = 1;
  heard = 0;
  /** Since when its workers had no request. */
  idleMs = 0;
  /** What this machine might hold of them by itself ends. */
  readonly givenUp: string[] = [];
  /** Before a part is loaded. */
  fetching: (part: PartWanted) => Promise<void> = async () => {};
  readonly holder: Holder;

  constructor() {
    const { system } = this;
    this.holder = new Holder({
      system,
      self: me,
      stages: system.address("stages"),
      agreed: () => ({
        leader: this.leader,
        leads: true,
        term: this.term,
        heard: this.heard,
        instances: this.instances,
        propose: () => Promise.reject(new Error("nobody proposes here")),
      }),
      linkTo: () => true,
      shardOf: async ({ model }, part): Promise<Shard> => {
        await this.fetching(part);
        return { model, path: `/${model}` };
      },
      giveUp: (model) => void this.givenUp.push(model),
      prepare: async () => {},
      idle: { afterMs: 600_000, kept: [] },
      startWorker: (node, exited) => this.#started(node, exited),
      changed: () => {},
      lost: (worker, { message }, how) => void this.did.push(`lost ${worker}: ${message}, ${how}`),
    });
    system.spawn<AnyMessage>("placement", ({ message }) => {
      const { heard, stages } = message as ReturnType<typeof Placement.Held>;
      this.told.push(`${heard}: ${stages.map(shown).join(" ") || "nothing"}`);
    });
    system.spawn<ShardWorkerReply>("stages", ({ from, message }) => this.holder.heard(from, message));
  }

  /** The log is another. */
  async agree(...instances: readonly PlacedInstance[]): Promise<void> {
    this.heard = Math.max(this.heard + 1, ...instances.map(({ epoch }) => epoch));
    this.instances = instances;
    this.holder.follow();
    await this.time.pass(10);
  }

  /** What the newest worker says. */
  async says(message: AnyMessage): Promise<void> {
    this.workers.at(-1)?.say(message);
    await this.time.pass(10);
  }

  loads(): Promise<void> {
    return this.says(ShardWorkerReply.Loaded({ shard: { model: "m", path: "/m" }, facts }));
  }

  /** What came of it. */
  async outcome(work: Promise<void>, ms = 10): Promise<string> {
    const done = work.then(
      () => "done",
      (error: unknown) => (error as Error).message,
    );
    await this.time.pass(ms);
    return await done;
  }

  #started(node: string, exited: Exited): WorkerProcess {
    const at = this.workers.length + 1;
    let boss = this.system.address("stages");
    const link: Transport = {
      onReceive: () => {},
      onClose: () => {},
      close: () => {},
      send: ({ message, from }: Envelope) => {
        boss = from;
        const order = message as Order;
        const what = order.type === "ShardWorker.Join" ? joinedIn(order.group) : layersOf(order.shard);
        this.did.push(`${order.type.slice("ShardWorker.".length)} ${at}${what}`);
        return true;
      },
    };
    const say = (message: AnyMessage) =>
      link.onReceive({ to: boss, from: `${node}/shard-worker` as Address, message });
    this.workers.push({ name: `${me}/${node}` as Address, kill: exited, say });
    return {
      pid: at,
      link,
      requests: () => 0,
      idleMs: () => this.idleMs,
      whenIdle: (run) => run(),
      end: () => {
        this.did.push(`ends ${at}`);
        queueMicrotask(() => exited("it was told to"));
      },
    };
  }
}

const joinedIn = ({ epoch, stage, way, hidden }: Group): string =>
  hidden
    ? ` ${epoch} in ${hidden}`
    : way
      ? ` ${epoch} as ${stage} of ${JSON.stringify(way.devices)} at ${way.host}`
      : ` ${epoch}`;
const layersOf = ({ layers }: Shard): string => (layers ? ` ${layers.start}-${layers.end}` : " whole");
const shown = ({
  epoch,
  state,
  parted,
  waited,
  loadedBytes,
  fetchedBytes,
  problem,
  idle,
}: HeldStage): string =>
  `${epoch}:${parted ? "parted" : waited ? "waited" : state}${idle ? " idle" : ""}${loadedBytes ? `:${loadedBytes}` : ""}${fetchedBytes === undefined ? "" : `:fetched ${fetchedBytes}`}${problem && !parted ? ` (${problem.message})` : ""}`;
