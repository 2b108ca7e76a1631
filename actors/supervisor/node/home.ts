/**
 * This node among others: its membership, how others come in, and what all of them have. Each part is started again when it crashes,
 * with those that build on it; beyond its budget the machine serves alone.
 */
import { randomBytes } from "node:crypto";
import type { PairingPort } from "#actors/api-gateway/ports";
import { partOf } from "#actors/runtime/part";
import { type Child, type Plan, SupervisionTree } from "#actors/runtime/supervision-tree";
import type { ActorSystem } from "#actors/runtime/system";
import type { Address } from "#protocol/ids";
import type { CheckpointView, OtherCopy } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { SpeedAnswer } from "#protocol/speeds";
import { type ClusterOptions, type OpenCluster, openCluster } from "../cluster/cluster.ts";
import { type Machines, openMachines } from "../cluster/machines.ts";
import { openSurroundings, type Surroundings } from "../cluster/surroundings.ts";
import { type OpenPlacement, openPlacement, type PlacementOptions } from "../placement/open-placement.ts";
import type { Serving } from "../placement/serving.ts";
import { SpeedBook } from "../placement/speed-book.ts";
import type { StoredElsewhere } from "../placement/stored-elsewhere.ts";
import { type OpenPairing, openPairing } from "./pairing.ts";

export interface Home {
  /** Of the tree that keeps it running. */
  readonly address: Address;
  /** Why this machine serves alone, and what to do; undefined where it does not. */
  readonly alone: Problem | undefined;
  /** Throws Problem `unavailable` while it is being started again, and where this machine serves alone. */
  readonly cluster: OpenCluster;
  /** Undefined while they are being started again. Throws Problem where this machine serves alone. */
  readonly pairing: PairingPort | undefined;
  readonly machines: Machines | undefined;
  /** Models that several machines hold together: `alone` for good, once it could not be kept running. */
  readonly serving: Serving | "alone" | "notNow";
  /** How fast this machine was with models that it computed. */
  readonly book: SpeedBook;
  /** What each machine that is up measured of itself with that model. */
  measureModel(model: string): Promise<readonly SpeedAnswer[]>;
  /** What this machine has of that name, or another that is up. Throws Problem. */
  checkpoint(model: string): Promise<CheckpointView>;
  /** Machines that have another of that name than this one, or than most; none where nobody can say. */
  otherCopies(model: string): Promise<readonly OtherCopy[]>;
  /** The models on the disks of other machines that are up. */
  stored(): Promise<readonly StoredElsewhere[]>;
  /** Calls back when the cluster is another, whichever of its lives it is in. */
  changed(run: () => void): void;
  stop(): Promise<void>;
}

export interface HomeOptions {
  readonly cluster: ClusterOptions;
  readonly modelsFolder: string;
  /** Whether a model computes or is being loaded. */
  readonly busy: () => Promise<boolean>;
  readonly placement: Omit<PlacementOptions, "links" | "troubled" | "busy" | "book" | "modelsFolder">;
  /** What computes here, in a word: speeds that another measured are none. */
  readonly computedBy: string;
  /** Told of each crash of a part. */
  readonly crashed: NonNullable<Plan["ended"]>;
}

/** Ten crashes in a minute are no accident any more. */
const BUDGET = { restarts: 10, withinMs: 60_000 };
const PAUSES_MS = [200, 1000, 5000];
const STOP_MS = 2000;
/** Workers end first, those that do not go after their grace. */
const WORKERS_STOP_MS = 5000;

/** Where the membership cannot be read the machine serves alone, and says why. Throws Problem. */
export async function openHome(system: ActorSystem, options: HomeOptions): Promise<Home> {
  const home = new KeptHome(system, options);
  await home.open();
  return home;
}

class KeptHome implements Home {
  readonly #system: ActorSystem;
  readonly #options: HomeOptions;
  readonly #boot = randomBytes(16);
  readonly #around = new Part<Surroundings>("discovery");
  readonly #cluster = new Part<OpenCluster>("membership");
  readonly #pairing = new Part<OpenPairing>("pairing");
  readonly #machines = new Part<Machines>("topology");
  readonly #placement = new Part<OpenPlacement>("placement");
  readonly #listeners: (() => void)[] = [];
  readonly #tree: SupervisionTree;
  readonly address: Address;
  readonly book: SpeedBook;
  #isOpen = false;
  #failure: Error | undefined;

  constructor(system: ActorSystem, options: HomeOptions) {
    this.#system = system;
    this.#options = options;
    this.address = system.address("home");
    const { folder, troubled } = options.cluster;
    this.book = new SpeedBook({ folder, by: options.computedBy, troubled });
    const plan: Plan = {
      name: "home",
      strategy: "restForOne",
      budget: BUDGET,
      pausesMs: PAUSES_MS,
      children: [
        this.#around.child(system, (part) => openSurroundings(part, options.cluster, this.#boot)),
        this.#cluster.child(system, (part) => this.#openCluster(part)),
        // Before the others: when one of those crashes, models go on.
        this.#placement.child(system, (part) => this.#openPlacement(part), WORKERS_STOP_MS),
        this.#pairing.child(system, (part) => openPairing(part, this.cluster, options.cluster)),
        this.#machines.child(system, (part) => this.#openMachines(part)),
      ],
      ended: options.crashed,
    };
    this.#tree = new SupervisionTree(system, plan, (failure) => this.#failed(failure));
  }

  get alone(): Problem | undefined {
    if (!this.#failure) return undefined;
    const { message } = this.#failure;
    return new Problem("unavailable", `this machine serves alone: ${message}`, this.#remedy(this.#failure));
  }

  get cluster(): OpenCluster {
    if (this.alone) throw this.alone;
    const { face } = this.#cluster;
    if (face) return face;
    const remedy = "try again in a moment";
    throw new Problem("unavailable", "this machine's part in its home is not running", { remedy });
  }

  get pairing(): PairingPort | undefined {
    if (this.alone) throw this.alone;
    return this.#pairing.face?.port;
  }

  get machines(): Machines | undefined {
    return this.#machines.face;
  }

  get serving(): Serving | "alone" | "notNow" {
    const { face } = this.#placement;
    // What crashed is there until the pause before the next one is over.
    if (face && this.#system.counts(this.#system.address("placement"))) return face.serving;
    return this.#failure ? "alone" : "notNow";
  }

  async measureModel(model: string): Promise<readonly SpeedAnswer[]> {
    return (await this.#placement.face?.measure(model)) ?? [];
  }

  async otherCopies(model: string): Promise<readonly OtherCopy[]> {
    return (await this.#placement.face?.otherCopies(model)) ?? [];
  }

  async stored(): Promise<readonly StoredElsewhere[]> {
    return (await this.#placement.face?.stored()) ?? [];
  }

  async checkpoint(model: string): Promise<CheckpointView> {
    const { face } = this.#placement;
    if (face) return await face.checkpoint(model);
    throw new Problem("unavailable", "what the home has is not known at this moment", {
      remedy: "try again in a moment",
    });
  }

  changed(run: () => void): void {
    this.#listeners.push(run);
  }

  /** Throws what is wrong beside a membership that cannot be read. */
  async open(): Promise<void> {
    await this.#tree.start();
    this.#isOpen = this.#failure === undefined;
    if (this.#isOpen) return;
    if (!(this.#failure instanceof Problem) || this.#cluster.problem !== this.#failure) throw this.#failure;
    this.#sayAlone(this.#failure);
  }

  stop(): Promise<void> {
    return this.#tree.stop();
  }

  #failed(failure: Error): void {
    this.#failure = failure;
    if (!this.#isOpen) return;
    this.#sayAlone(failure);
    this.#tell();
  }

  #sayAlone(failure: Error): void {
    const { remedy } = this.#remedy(failure);
    this.#options.cluster.troubled(
      `${failure.message}; this machine serves alone${remedy ? `: ${remedy}` : ""}`,
    );
  }

  #remedy(failure: Error): { readonly remedy?: string } {
    if (!(failure instanceof Problem)) return { remedy: "end exo and start it again" };
    return failure.remedy === undefined ? {} : { remedy: failure.remedy };
  }

  async #openCluster(part: ActorSystem): Promise<OpenCluster> {
    const around = this.#around.face;
    if (!around) throw new Error("the membership was started before discovery");
    // The actors of it come and go with each home that it belongs to; this one stands for all of them.
    this.#system.spawn("membership", () => {});
    const cluster = await openCluster(part, this.#options.cluster, around);
    cluster.changed(() => this.#tell());
    this.#tell();
    return cluster;
  }

  async #openMachines(part: ActorSystem): Promise<Machines> {
    const { modelsFolder, busy } = this.#options;
    const { name, version } = this.#options.cluster;
    const speeds = () => this.book.speeds;
    return openMachines(part, this.cluster, { name, version, modelsFolder, busy, speeds });
  }

  async #openPlacement(part: ActorSystem): Promise<OpenPlacement> {
    const { placement, cluster, modelsFolder, busy } = this.#options;
    const links = () => this.#machines.face?.links ?? [];
    return openPlacement(part, this.cluster, {
      ...placement,
      links,
      busy,
      book: this.book,
      modelsFolder,
      troubled: cluster.troubled,
    });
  }

  #tell(): void {
    for (const run of this.#listeners) run();
  }
}

/** What is kept running under one name; of its lives there is one at most, and what a crash left of one goes before the next. */
class Part<Face extends { stop(): void | Promise<void> }> {
  readonly #name: string;
  face: Face | undefined;
  /** Why it cannot be started, where a user must mend that. */
  problem: Problem | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  child(system: ActorSystem, open: (part: ActorSystem) => Promise<Face>, stopMs = STOP_MS): Child {
    const address = system.address(this.#name);
    return {
      name: this.#name,
      restart: "always",
      stopMs,
      stop: () => this.#close(),
      start: async () => {
        await this.#close();
        try {
          this.face = await open(partOf(system, this.#name));
        } catch (error) {
          system.stop(address);
          if (error instanceof Problem) this.problem = error;
          throw error;
        }
        return address;
      },
    };
  }

  async #close(): Promise<void> {
    const { face } = this;
    this.face = undefined;
    await face?.stop();
  }
}
