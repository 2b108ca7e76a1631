/** Machines with workers, in this process and its children: real TLS between machines, real sockets to workers. */
import { systemClock } from "#actors/runtime/clock";
import type { ActorSystem } from "#actors/runtime/system";
import type { Link } from "#actors/runtime/transport/network";
import { guarded, type Placed } from "#actors/supervisor/cluster/access";
import { Lanes } from "#actors/supervisor/cluster/lanes";
import { startWorker, type WorkerProcess } from "#actors/supervisor/instance/workers";
import type { Role } from "#protocol/cluster";
import type { Address, NodeId } from "#protocol/ids";
import { ShardWorker } from "#protocol/shard-worker";
import { type TlsNode, TlsNodes } from "./tls-nodes.ts";

const DIAL_MS = 60_000;

export interface Worker {
  readonly address: Address;
  readonly process: WorkerProcess;
  /** Of the process, by a signal's name. */
  signal(name: NodeJS.Signals): void;
}

export class Machine {
  readonly id: NodeId;
  readonly system: ActorSystem;
  readonly refused: string[] = [];
  /** Open links for tensors, dialled or not. */
  readonly laneLinks = new Set<Link>();
  readonly #node: TlsNode;
  readonly #peers: Map<NodeId, Machine>;
  readonly #lanes: Lanes;
  readonly #workers: WorkerProcess[] = [];
  /** What is agreed to be placed: one model, of which all have layers. */
  placed: Placed;
  readonly roles = new Map<NodeId, Role>();
  /** Its listener is there for nobody who dials. */
  deaf = false;

  constructor(node: TlsNode, peers: Map<NodeId, Machine>) {
    this.#node = node;
    this.#peers = peers;
    this.id = node.id;
    this.placed = [
      {
        get stages() {
          return [...peers.keys()].map((of, start) => ({ node: of, layers: { start, end: start + 1 } }));
        },
      },
    ];
    this.system = node.system;
    const refused = (_: NodeId, why: string) => void this.refused.push(why);
    this.#lanes = new Lanes({
      self: node.id,
      roleOf: (of) => this.roles.get(of) ?? "full",
      instances: () => this.placed,
      clock: systemClock,
      refused,
      dial: async (to) => this.#noted(await this.#dial(to, "data")),
      measure: (link) => link.close(),
    });
    node.network.onLink = (link) => {
      if (link.lane === "control") this.#joined(link);
      else this.#lanes.accept(this.#noted(link));
    };
  }

  async join(other: Machine): Promise<void> {
    this.#joined(await this.#dial(other.id, "control"));
  }

  part(other: Machine): void {
    this.#lanes.close(other.id);
    this.system.disconnect(other.id, "the cable was pulled");
  }

  /** Starts one that is `<machine>/<name>`; `file` is its program, `under` a command that runs that. */
  worker(name: string, file = `${import.meta.dir}/relay-worker.ts`, under: readonly string[] = []): Worker {
    const { system } = this;
    const command = [...under, process.execPath, file];
    const started = startWorker({ command, env: process.env }, [name, this.id], systemClock, (why) =>
      system.disown(system.address(name), why.split(":")[0] ?? why),
    );
    this.#workers.push(started);
    const address = system.adopt(name, "shard-worker", started.link);
    return { address, process: started, signal: (signal) => process.kill(started.pid, signal) };
  }

  stop(): void {
    for (const worker of this.#workers) worker.end();
  }

  #joined(link: Link): void {
    const { node } = link.peer;
    const ports = {
      self: this.id,
      refused: (_: NodeId, why: string) => void this.refused.push(why),
      said: () => {},
      heard: () => {},
      outOfRole: () => {},
      roleOf: (of: NodeId) => this.roles.get(of) ?? "full",
    };
    this.system.connect(node, guarded(link, ports), this.#lanes.open(node));
  }

  async #dial(to: NodeId, lane: "control" | "data"): Promise<Link> {
    const there = this.#peers.get(to);
    if (!there) throw new Error("nobody of that name");
    const endpoint = there.deaf ? { host: "127.0.0.1", port: 1 } : there.#node.endpoint;
    return await this.#node.network.dial(endpoint, {
      lane,
      expect: to,
      signal: AbortSignal.timeout(DIAL_MS),
    });
  }

  #noted(link: Link): Link {
    this.laneLinks.add(link);
    return link;
  }
}

export class World {
  readonly #nodes = new TlsNodes();
  readonly #machines = new Map<NodeId, Machine>();

  async machine(): Promise<Machine> {
    const made = new Machine(await this.#nodes.start(), this.#machines);
    this.#machines.set(made.id, made);
    return made;
  }

  /** Two that are linked. */
  async two(): Promise<readonly [Machine, Machine]> {
    const [a, b] = [await this.machine(), await this.machine()];
    await a.join(b);
    return [a, b];
  }

  async close(): Promise<void> {
    for (const machine of this.#machines.values()) machine.stop();
    await this.#nodes.close();
  }
}

export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

export const pass = (number: number, instance: string) =>
  ShardWorker.Pass({ instance, epoch: 1, number, ops: [], feeds: [], wanted: "last" });
