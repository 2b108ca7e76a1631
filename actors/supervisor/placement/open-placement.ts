/** This node's part in models on several machines: two actors, wired to its cluster, its links and its disk. */
import type { ActorSystem, Behaviour } from "#actors/runtime/system";
import { watchedAnew } from "#actors/runtime/watches";
import type { BackendWish } from "#protocol/collective";
import type { Address, NodeId } from "#protocol/ids";
import type { LinkView } from "#protocol/node";
import {
  type CheckpointView,
  type OtherCopy,
  Placement,
  type PlacementMessage,
  PlacementReply,
  type PlacementSettings,
  type PlacementWish,
} from "#protocol/placement";
import { problemBody } from "#protocol/problem";
import type { SpeedAnswer } from "#protocol/speeds";
import type { Cluster } from "../cluster/ports.ts";
import { fitsHere } from "../instance/fits-here.ts";
import type { InstancePorts } from "../instance/instance.ts";
import { machinePorts } from "./asking.ts";
import { Calibration } from "./calibration.ts";
import { Coordinator } from "./coordinator.ts";
import { FASTER_MS } from "./faster.ts";
import { Holder } from "./holder.ts";
import { knownCheckpoint, otherCopies } from "./known-checkpoint.ts";
import { answersOf } from "./measuring.ts";
import { type Own, Serving, type ServingPorts } from "./serving.ts";
import { ifNotHere, Shards } from "./shards.ts";
import { type Sight, sightOf } from "./sight.ts";
import type { SpeedBook } from "./speed-book.ts";
import { type AloneHere, answerStages, type StagesPorts } from "./stages.ts";
import { Stored, type StoredElsewhere } from "./stored-elsewhere.ts";
import { DECIDE_MS } from "./survey.ts";

export interface PlacementOptions extends Pick<InstancePorts, "startWorker" | "measured" | "idle"> {
  readonly links: () => readonly LinkView[];
  /** A model on this machine's disk; nothing is fetched. Throws Problem. */
  readonly find: (model: string) => Promise<Own>;
  readonly stored: StagesPorts["stored"];
  /** Of models that are asked for here; each is then computed so by all of its machines. */
  readonly settings: PlacementSettings;
  /** By what ranks add up where who asks does not say. */
  readonly backend?: BackendWish | undefined;
  readonly modelsFolder: string;
  readonly prepare: () => Promise<void>;
  readonly alone: AloneHere;
  readonly book: SpeedBook;
  /** Whether a model computes or is being loaded here. */
  readonly busy: () => Promise<boolean>;
  /** What `states` tells is another. */
  readonly changed: () => void;
  /** Requests on that worker get no answer any more. */
  readonly lost: ServingPorts["lost"];
  readonly troubled: (why: string) => void;
}

export interface OpenPlacement {
  readonly serving: Serving;
  /** Asks every machine that is up how fast it is with that model. */
  measure(model: string): Promise<readonly SpeedAnswer[]>;
  /** What this machine has of that name, or another that is up. Throws Problem. */
  checkpoint(model: string): Promise<CheckpointView>;
  /** Machines that have another of that name than this one, or than most. */
  otherCopies(model: string): Promise<readonly OtherCopy[]>;
  /** The models on the disks of other machines that are up. */
  stored(): Promise<readonly StoredElsewhere[]>;
  /** Resolves when no worker holds a part any more, and none measures. */
  stop(): Promise<void>;
}

/** A proposal that no majority confirms is given up after ten seconds. */
const AGREE_MS = 12_000;
/** Questions to who leads: it looks at every machine first, and waits for facts of those that just came; twice, where it
 * stops idle models in between. */
const PLACE_MS = 2 * (DECIDE_MS + AGREE_MS);
/** A home that agrees at once has time for another's decision about that model before. */
const PLACE_FASTER_MS = FASTER_MS + AGREE_MS;
/** Beside what answers under way may take. */
const RELEASE_MS = 120_000;

export function openPlacement(
  system: ActorSystem,
  cluster: Cluster,
  options: PlacementOptions,
): OpenPlacement {
  const { changed } = options;
  const [boss, stages] = [system.address("placement"), system.address("stages")];
  const sight = sightOf(cluster, system.clock);
  const coordinator = coordinatorOf(system, boss, cluster, options);
  const shards = new Shards(cluster, { ...options, clock: system.clock, nameOf: sight.nameOf });
  const holder = holderOf(system, stages, cluster, { ...options, shards });
  const serving = new Serving(servingPorts({ system, boss, cluster, sight, holder }, options));
  system.spawn("placement", answerPlacement(coordinator));
  const calibration = new Calibration({ ...options, system });
  const leader = () => cluster.agreed.leader;
  system.spawn("stages", answerStages({ ...options, holder, calibration, leader }));
  const follow = () => {
    sight.look();
    holder.follow();
    coordinator.follow();
    serving.follow();
    changed();
  };
  sight.onChange(() => serving.follow());
  const end = cluster.changed(follow);
  follow();
  const ports = machinePorts(system, boss);
  const nodes = () => cluster.nodes();
  const stored = new Stored({ ...ports, self: cluster.self, clock: system.clock, nodes });
  return {
    serving,
    measure: async (model) =>
      await answersOf(ports, { model, settings: options.settings, nodes: await nodes() }),
    checkpoint: async (model) =>
      await knownCheckpoint(ports, { model, self: cluster.self, nodes: await nodes() }),
    otherCopies: async (model) =>
      await otherCopies(ports, { model, self: cluster.self, nodes: await nodes() }),
    stored: () => stored.elsewhere(),
    async stop() {
      end();
      sight.stop();
      coordinator.stop();
      system.stop(boss);
      system.stop(stages);
      await Promise.all([holder.stop(), calibration.stop()]);
      shards.stop();
    },
  };
}

function coordinatorOf(
  system: ActorSystem,
  boss: Address,
  cluster: Cluster,
  { links, troubled }: PlacementOptions,
): Coordinator {
  const { clock, trace } = system;
  const known = async () => ({ nodes: await cluster.nodes(), links: links() });
  const agreed = () => cluster.agreed;
  const asked = machinePorts(system, boss);
  const crashed = (error: unknown) => system.fail(boss, error);
  return new Coordinator(cluster.self, { ...asked, clock, trace, agreed, known, troubled, crashed });
}

function holderOf(
  system: ActorSystem,
  stages: Address,
  cluster: Cluster,
  { shards, ...options }: PlacementOptions & { readonly shards: Shards },
): Holder {
  const { self } = cluster;
  return new Holder({
    ...options,
    system,
    self,
    stages,
    agreed: () => cluster.agreed,
    giveUp: options.alone.giveUp,
    linkTo: (node) => node === self || cluster.link(node),
    shardOf: (record, part) => shards.of(record, part),
  });
}

interface Around {
  readonly system: ActorSystem;
  readonly boss: Address;
  readonly cluster: Cluster;
  readonly sight: Sight;
  readonly holder: Holder;
}

function servingPorts(
  { system, boss, cluster, sight, holder }: Around,
  { find, lost, settings, backend, idle }: PlacementOptions,
): ServingPorts {
  const { self } = cluster;
  const whole = (wish: PlacementWish) =>
    (wish.strategy === "tensor" || wish.sharedStages) && backend ? { backend, ...wish } : wish;
  const ask = (leader: NodeId, question: PlacementMessage, ms: number) =>
    system.ask<PlacementReply>(`${leader}/placement` as Address, question, boss, ms);
  return {
    self,
    clock: system.clock,
    agreed: () => cluster.agreed,
    changed: (run) => cluster.changed(run),
    others: () => cluster.others,
    isUp: (node) => node === self || sight.isUp(node),
    isLinked: (node) => node === self || cluster.link(node) !== undefined,
    nameOf: sight.nameOf,
    own: (model) => find(model).catch(ifNotHere),
    fits: fitsHere,
    place: (leader, model, wish) =>
      ask(leader, Placement.Place({ model, wish: whole(wish), settings }), PLACE_MS),
    placeFaster: (leader, model) => ask(leader, Placement.PlaceFaster({ model, settings }), PLACE_FASTER_MS),
    isKept: (model) => idle?.kept.includes(model) ?? false,
    release: (leader, model, now) => ask(leader, Placement.Release({ model, now }), RELEASE_MS),
    rebalance: (leader, model, wish) =>
      ask(leader, Placement.Rebalance({ model, ...(wish && { wish: whole(wish) }) }), PLACE_MS),
    stateOf: (instance) => holder.stateOf(instance),
    abandon: (instance) => holder.abandon(instance),
    // Its deltas do not come by the lane for tensors: that is between the stages.
    watch: (worker, told) => watchedAnew(system, worker, (end) => end.lane ?? told(end)),
    lost,
  };
}

function answerPlacement(coordinator: Coordinator): Behaviour<PlacementMessage> {
  return ({ message, from, reply }) => {
    const node = from.slice(0, from.indexOf("/")) as NodeId;
    const answer = (work: Promise<PlacementReply>) =>
      void work.then(reply, (error: unknown) =>
        reply(PlacementReply.Refused({ problem: problemBody(error) })),
      );
    if (message.type === "Placement.Held") coordinator.held(node, message);
    else if (message.type === "Placement.Place") answer(coordinator.place(node, message));
    else if (message.type === "Placement.PlaceFaster") answer(coordinator.placeFaster(node, message));
    else if (message.type === "Placement.Rebalance") answer(coordinator.rebalance(node, message));
    else answer(coordinator.release(message));
  };
}
