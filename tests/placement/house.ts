/** One machine whose gateway asks for models: its home, its disk and its links are as a test wants them. */
import { type Acquiring, Serving, type ServingPorts } from "#actors/supervisor/placement/serving";
import type { Address, NodeId } from "#protocol/ids";
import { type PlacedInstance, PlacementReply } from "#protocol/placement";
import { type Problem, problemBody, problemOf } from "#protocol/problem";
import type { ModelState } from "#protocol/supervisor";
import { seeded } from "../sim/random.ts";
import { VirtualTime } from "../sim/time.ts";
import { facts, me, other, placed } from "./model.ts";

export const WORKER = "other/worker-1" as Address;

export const loading = placed();
export const ready: PlacedInstance = {
  ...loading,
  state: "ready",
  facts,
  stages: loading.stages.map((stage) => ({ ...stage, worker: `${stage.node}/worker-1` as Address })),
};

export class House {
  readonly time = new VirtualTime();
  readonly did: string[] = [];
  instances: readonly PlacedInstance[] = [];
  others = 1;
  fits = true;
  isHeld = false;
  /** Where the model lies that has that name here. */
  named = "/m";
  /** Of models that this machine would stop for another. */
  idleBytes = 0;
  /** Of its own part. */
  state: ModelState | undefined;
  up = new Set<string>([me, other]);
  isLinked = true;
  /** What who leads answers to be asked for a placement or for its end; nothing: it agrees. */
  refusals: Problem[] = [];
  listeners = 0;
  leader: NodeId | undefined = me;
  term = 1;
  /** How long whoever leads takes to answer. */
  takesMs = 0;
  readonly #watched: Parameters<ServingPorts["watch"]>[1][] = [];
  readonly #runs = new Set<() => void>();
  /** What who leads says where this machine could hold it: the note of who is faster. */
  faster = "stays";
  /** How who leads says no to that. */
  refuses: "refused" | "thrown" | undefined;
  /** Before who leads says that. */
  meanwhile: () => void = () => {};
  kept: readonly string[] = [];
  /** Who leads answers nothing. */
  isDeaf = false;
  readonly serving: Serving;

  constructor(change: Partial<Pick<House, "instances" | "others" | "fits" | "isHeld" | "leader">> = {}) {
    Object.assign(this, change);
    const ports: ServingPorts = {
      self: me,
      clock: this.time.clock(seeded(1)),
      agreed: () => ({
        leader: this.leader,
        leads: this.leader === me,
        term: this.term,
        heard: 9,
        instances: this.instances,
        propose: () => Promise.reject(new Error("nobody proposes here")),
      }),
      changed: (run) => {
        this.listeners += 1;
        this.#runs.add(run);
        return () => {
          this.listeners -= 1;
          this.#runs.delete(run);
        };
      },
      others: () => this.others,
      isUp: (node) => this.up.has(node),
      isLinked: (node) => node === me || this.isLinked,
      nameOf: (node) => node,
      own: async (model) => {
        this.did.push("looks on the disk");
        return model.startsWith("/") ? { name: "m", path: model } : { name: model, path: this.named };
      },
      fits: (_, freedBytes) => this.fits || freedBytes > 0,
      place: async (leader) => {
        this.did.push(`asks ${leader} to place it`);
        await this.#answers();
        const refusal = this.refusals.shift();
        if (refusal) return PlacementReply.Refused({ problem: problemBody(refusal) });
        this.instances = [loading];
        return PlacementReply.Placed({ id: "i", epoch: 1, notes: ["third takes no part: drained"] });
      },
      placeFaster: async (leader) => {
        this.did.push(`asks ${leader} whether others are faster`);
        await this.#answers();
        this.meanwhile();
        const problem = { kind: "invalid", message: "unknown message Placement.PlaceFaster" } as const;
        if (this.refuses === "thrown") throw problemOf(problem);
        if (this.refuses === "refused") return PlacementReply.Refused({ problem });
        if (this.faster === "stays") return PlacementReply.Stays({});
        if (this.instances.length === 0) this.instances = [loading];
        const { id, epoch } = this.instances[0] ?? loading;
        return PlacementReply.Placed({ id, epoch, notes: [this.faster] });
      },
      isKept: (model) => this.kept.includes(model),
      rebalance: () => Promise.reject(new Error("nobody asks for that here")),
      release: async () => {
        const refusal = this.refusals.shift();
        if (refusal) throw refusal;
        this.did.push("ends it everywhere");
        return PlacementReply.Released({});
      },
      stateOf: () => this.state,
      abandon: async () => void this.did.push("gives up its own part"),
      watch: (worker, told) => {
        if (this.isLinked) this.#watched.push(told);
        else queueMicrotask(() => told({ how: "lost", why: `${worker} is not there` }));
        return () => {};
      },
      lost: (worker, { message }, how) =>
        this.did.push(`${worker} lost: ${message}${how === "lost" ? "" : `, ${how}`}`),
    };
    this.serving = new Serving(ports);
  }

  async #answers(): Promise<void> {
    if (this.isDeaf) await new Promise(() => {});
    if (this.takesMs > 0) await new Promise<void>((resolve) => void this.time.after(this.takesMs, resolve));
  }

  asking(more: Partial<Acquiring> = {}): Acquiring {
    return { model: "m", isHeld: () => this.isHeld, idleBytes: () => this.idleBytes, ...more };
  }

  acquire(more: Partial<Acquiring> = {}) {
    return this.serving.acquire(this.asking(more)).then(
      (answer) => answer?.worker ?? "by itself",
      (error: unknown) => (error as Error).message,
    );
  }

  /** Time passes, and what was promised comes about. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      await this.time.pass(50);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Others voted. */
  isLedBy(leader: NodeId | undefined): void {
    this.leader = leader;
    this.term += 1;
    for (const run of [...this.#runs]) run();
  }

  breakLink(): void {
    this.isLinked = false;
    for (const told of this.#watched.splice(0)) told({ how: "lost", why: "its link broke" });
  }
}
