/** One exo node in this process: its actors, wired; and what a command may do with it. */
import { type ApiGatewayOptions, apiGateway } from "#actors/api-gateway/index";
import type { Generate, ModelListing } from "#actors/api-gateway/ports";
import type { Clock } from "#actors/runtime/clock";
import type { Plan } from "#actors/runtime/supervision-tree";
import { ActorSystem } from "#actors/runtime/system";
import { Trace } from "#actors/runtime/trace";
import { ApiGateway } from "#protocol/api-gateway";
import type { NodeOrder, NodeView } from "#protocol/cluster";
import type { Address } from "#protocol/ids";
import type { PlacementWish } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { KvQuant, Shard } from "#protocol/shard";
import type { ClusterOptions } from "../cluster/cluster.ts";
import { type SupervisorPorts, supervisor } from "../index.ts";
import type { IdleRule } from "../instance/idle.ts";
import { DRAIN_MS } from "../instance/instance.ts";
import { startWorker, type WorkerCommand } from "../instance/workers.ts";
import { Across, type Part } from "../placement/across.ts";
import type { SpeedBook } from "../placement/speed-book.ts";
import type { Home } from "./home.ts";
import { keepRunning } from "./keeping.ts";
import { listed, toldOf } from "./listed.ts";
import { listeners } from "./listeners.ts";
import { orders } from "./orders.ts";
import { OwnWorkers } from "./own-workers.ts";

export interface NodeOptions extends ApiGatewayOptions, Pick<PlacementWish, "backend" | "hidden"> {
  readonly version: string;
  readonly nodeName: string;
  readonly namespace?: string;
  readonly clock: Clock;
  /** How to start this program again; the worker's own arguments follow. */
  readonly worker: WorkerCommand;
  /** The folder of the native library, unpacked if need be; asked before each load, as it may have been removed. */
  readonly libraryFolder: () => Promise<string>;
  /** The checkpoint for a user's name of a model; throws Problem. */
  readonly resolveModel: (name: string) => Promise<{ readonly name: string; readonly path: string }>;
  /** The same, of a model that is on this machine; nothing is fetched. */
  readonly findModel: (name: string) => Promise<{ readonly name: string; readonly path: string }>;
  /** Models on this machine's disk. */
  readonly listModels: () => Promise<readonly ModelListing[]>;
  /** Where models are kept, for the room that is left there. */
  readonly modelsFolder: string;
  readonly contextLength?: number;
  readonly kvQuant?: KvQuant;
  /** When a model gives way to another. */
  readonly idle: IdleRule;
  /** Who this node is among others; absent for one that lives as long as a command. */
  readonly cluster?: ClusterOptions;
  /** Told of each crash of a part of the node, which is started again. */
  readonly crashed: NonNullable<Plan["ended"]>;
}

export interface Node {
  /** Where the API listens: `http://127.0.0.1:52415`. */
  readonly url: string;
  /** Answers without HTTP. */
  readonly generate: Generate;
  /** Resolves once the model can answer, by this machine where it has room for it; with what there is to say of machines that take no part. Throws Problem. */
  load(model: string): Promise<readonly string[]>;
  /** Whether a model computes or is being loaded. */
  busy(): Promise<boolean>;
  /** Resolves when it cannot go on: a part of it crashed again and again, and nothing of it runs any more. */
  readonly over: Promise<Problem>;
  /** Takes no more requests, lets those under way end for a moment, then ends workers and sockets. */
  stop(): Promise<void>;
}

/** Answers under way end first, then a worker that does not go is killed. */
const STOP_MS = DRAIN_MS + 10_000;

export async function startNode(options: NodeOptions): Promise<Node> {
  const { clock } = options;
  const trace = new Trace({ nowMs: clock.nowMs });
  return await nodeOn(new ActorSystem(options.cluster?.identity.node ?? "node", clock, { trace }), options);
}

/** As `startNode`, on a ground that a test can look at. */
export async function nodeOn(system: ActorSystem, options: NodeOptions): Promise<Node> {
  const { cluster, modelsFolder, crashed } = options;
  const [boss, gateway, me] = [
    system.address("supervisor"),
    system.address("api-gateway"),
    system.address("command"),
  ];
  const watchers = listeners();
  const { loaded, busy, load, hold, stop, alone } = orders(system, boss, me);
  let home: Home | undefined;
  let part: Part | undefined = cluster ? "notNow" : "alone";
  const isOpening = () => part === "notNow";
  const across = new Across({ ...options, changed: watchers.add }, () => part ?? home?.serving ?? "alone");
  const openGateway = () =>
    apiGateway(system, gateway, boss, {
      ...options,
      pairing: () => home?.pairing,
      nodes: async () => (home?.alone ? [] : ((await home?.cluster.nodes()) ?? [])),
      orderNode: async (name, order) => await orderedIn(home, name, order),
      links: async () => home?.machines?.links ?? [],
      trace: () => system.trace?.entries ?? [],
      ...atHome(() => home, isOpening),
      loaded,
      changed: watchers.add,
      stop,
      preload: load,
      rebalance: async (model, wish) => await across.rebalance(model, wish),
      models: async () => listed(await options.listModels(), await loaded(), await home?.stored()),
    });
  const workers = workersOf(system, { boss, gateway, book: () => home?.book }, options);
  let served: ReturnType<typeof apiGateway> | undefined;
  const kept = await keepRunning(system, {
    supervisor: {
      start: models(system, boss, { ...workers, changed: watchers.tell, across }, options),
      stop: () => stop("all", true),
      stopMs: STOP_MS,
    },
    gateway: {
      start() {
        if (served) served.restart();
        else served = openGateway();
        return gateway;
      },
      stop: async () => await served?.stop(),
      stopMs: STOP_MS,
    },
    // After the port: a second exo of this home that finds it taken must not get as far as the cluster's file.
    home: {
      async start() {
        if (!cluster) return watchers.tell();
        const placement = { ...workers, alone, changed: watchers.tell, ...placing(options) };
        // Read once the port answers, and never by a node that lives as long as a command.
        const { openHome } = await import("./home.ts");
        const around = { cluster, modelsFolder, busy, crashed, computedBy: computing(options) };
        home = await openHome(system, { ...around, placement });
        home?.changed(watchers.tell);
        part = undefined;
        watchers.tell();
      },
      async stop() {
        part = "ending";
        await home?.stop();
      },
    },
    crashed,
  });
  if (!served) throw new Error("the gateway did not start");
  const { url, generate } = served;
  return { url, generate, load: hold, busy, over: kept.over, stop: kept.stop };
}

/** What machines measure when they are asked to, and keys that are another's to give. */
const atHome = (home: () => Home | undefined, isOpening: () => boolean) => ({
  alone: () => home()?.alone,
  measureLinks: async () => await home()?.machines?.measure(),
  measureModel: async (model: string) => (await home()?.measureModel(model)) ?? [],
  async checkpoint(model: string) {
    const open = home();
    if (isOpening())
      throw new Problem("unavailable", "this machine's home is not open yet", {
        remedy: "try again in a moment",
      });
    if (!open || open.alone)
      throw new Problem("notFound", `this machine serves alone, and knows no other that has ${model}`);
    return await open.checkpoint(model);
  },
  otherCopies: async (model: string) => (await home()?.otherCopies(model)) ?? [],
  async rotateKeys() {
    const { cluster } = home() ?? {};
    if (!cluster) throw new Problem("unavailable", "this machine serves alone");
    await cluster.change({ type: "rotate" });
  },
});

async function orderedIn(
  home: Home | undefined,
  name: string,
  order: NodeOrder,
): Promise<NodeView | undefined> {
  if (!home) throw new Problem("unavailable", "this machine serves alone");
  const { ordered } = await import("../cluster/orders.ts");
  return await ordered(home.cluster, name, order);
}

type Workers = Pick<SupervisorPorts, "prepare" | "startWorker" | "lost" | "measured" | "idle">;

/** What the speed of this machine depends on, beside the machine. */
function computing({ version, worker: { env } }: NodeOptions): string {
  return [version, env.EXO_CPU_KERNELS ?? "", env.EXO_THREADS ?? ""].join(" ");
}

/** How workers of this node are started, and who hears of those that are gone. */
function workersOf(
  system: ActorSystem,
  { boss, gateway, book }: { boss: Address; gateway: Address; book: () => SpeedBook | undefined },
  options: NodeOptions,
): Workers {
  let folder = "";
  return {
    idle: options.idle,
    prepare: async () => {
      folder = await options.libraryFolder();
    },
    startWorker: (node, exited) =>
      startWorker(options.worker, [node, system.node, folder], options.clock, exited),
    lost: (worker, problem, how) =>
      void system.send(gateway, ApiGateway.WorkerLost({ worker, problem, how }), boss),
    measured: (shard, pace) => book()?.heard(shard, pace),
  };
}

/** Starts the Supervisor at `boss`; when called again, after a crash of it, in place of the one before. */
function models(
  system: ActorSystem,
  boss: Address,
  given: Workers & Pick<SupervisorPorts, "changed" | "across">,
  options: NodeOptions,
): () => Address {
  const workers = new OwnWorkers(system, given.lost);
  const ports: SupervisorPorts = {
    ...given,
    system,
    self: boss,
    resolve: (model, mayFetch) => shardOf(model, mayFetch, options),
    locate: async (model) => (await options.findModel(model)).path,
    // Only where a model is idle: the first one is loaded without it.
    fits: async (path, freed) => (await import("../instance/fits-here.ts")).fitsHere(path, freed),
    startWorker: (node, exited) => workers.start(node, exited, (told) => given.startWorker(node, told)),
  };
  return () => {
    workers.end();
    return system.spawn("supervisor", supervisor(ports));
  };
}

/** What a worker is to load for a user's name of a model. Throws Problem. */
async function shardOf(model: string, mayFetch: boolean, options: NodeOptions): Promise<Shard> {
  const { name, path } = await (mayFetch ? options.resolveModel(model) : options.findModel(model));
  return { model: name, path, ...shardOptions(options) };
}

const shardOptions = ({ contextLength, kvQuant }: NodeOptions): Pick<Shard, "contextLength" | "kvQuant"> => ({
  ...(contextLength !== undefined && { contextLength }),
  ...(kvQuant !== undefined && { kvQuant }),
});

/** What placing models over machines has to know of this one. */
const placing = (options: NodeOptions) => ({
  ...{ find: options.findModel, backend: options.backend },
  stored: async () => toldOf(await options.listModels()),
  // Where nobody says: what a CPU keeps by itself. Left open, each machine would take what its device likes best.
  settings: {
    kvQuant: "f16",
    ...shardOptions(options),
    ...(options.hidden && { hidden: options.hidden }),
  } as const,
});
