/** One model on several machines, as who leads looks after it: the chart of its life bound to the home's log and machines. */
import { createActor, fromPromise } from "xstate";
import { chartClock, traceChart } from "#actors/runtime/chart";
import { RestartBudget } from "#actors/runtime/supervision";
import type { Address, NodeId } from "#protocol/ids";
import type { HeldStage, PlacedInstance, Stage } from "#protocol/placement";
import { Problem, type ProblemBody, problemBody } from "#protocol/problem";
import type { InstanceCommand } from "../cluster/instances.ts";
import type { Bars } from "./bars.ts";
import { machine, type PlacementEvent } from "./machine.ts";
import type { CoordinatorPorts } from "./ports.ts";
import { decided } from "./survey.ts";

/** A model whose workers die more often than this is broken (reliability.md 4.5). */
const RESTARTS = { restarts: 3, withinMs: 60_000 };
const PAUSES_MS = [200, 1_000, 5_000];

const WATCHING = ["loading", "joining", "ready"] as const;

/** What a machine said last of what it holds. */
export interface Report {
  /** How far it knew the log. */
  readonly heard: number;
  readonly stages: readonly HeldStage[];
}

export interface PlacedPorts extends CoordinatorPorts {
  readonly self: NodeId;
  readonly reportOf: (node: NodeId) => Report | undefined;
  /** Why a machine cannot be counted on; undefined for one that can. */
  readonly lost: (node: NodeId) => string | undefined;
  readonly bars: Bars;
  /** It is looked after no more. */
  readonly over: () => void;
}

interface Trouble {
  readonly problem: ProblemBody;
  readonly counts: boolean;
}

/** The same of every kind of command that is about one epoch. */
type About = Exclude<InstanceCommand, { does: "place" }>;

export class Placed {
  readonly #id: string;
  readonly #ports: PlacedPorts;
  readonly #chart;
  readonly #over = Promise.withResolvers<void>();

  constructor({ id, state, model }: PlacedInstance, ports: PlacedPorts) {
    this.#id = id;
    this.#ports = ports;
    const { clock, trace, troubled } = ports;
    const budget = new RestartBudget(RESTARTS, clock);
    const effects = machine.provide({
      actors: {
        place: fromPromise(({ input }) => this.#place(input)),
        join: fromPromise(() => this.#join()),
        drain: fromPromise(({ input }) => this.#drain(input.now)),
      },
      actions: {
        // The snapshot still shows the state before.
        look: () => queueMicrotask(() => this.look()),
        say: (_, { message }) => troubled(`${model} is placed anew: ${message}`),
        fail: (_, problem) => this.#tellHome({ does: "fail", problem }),
        forget: () => this.#tellHome({ does: "gone" }),
      },
      guards: { mayTryAgain: () => budget.spend() },
      delays: { pause: () => PAUSES_MS[Math.min(budget.spent, PAUSES_MS.length) - 1] ?? 0 },
    });
    this.#chart = createActor(effects, { input: { found: state }, clock: chartClock(clock) });
    traceChart(this.#chart, `placement/${model}`, trace);
    this.#chart.subscribe({ complete: () => this.#end(), error: (error) => this.#crashed(error) });
  }

  start(): void {
    this.#chart.start();
  }

  /** Somebody else looks after it, or nobody needs to. */
  stop(): void {
    this.#chart.stop();
    this.#over.resolve();
  }

  /** Resolves when no machine holds any of it. */
  async drain(now: boolean): Promise<void> {
    this.#tell({ type: "Drain", now });
    await this.#over.promise;
  }

  /** Looks how its stages are, as far as machines have said. */
  look(): void {
    const record = this.#record;
    if (!record || !this.#isWatching) return;
    const { stages, state } = record;
    const trouble = stages.map((stage) => this.#troubleOf(record, stage)).find((each) => each !== undefined);
    if (trouble) this.#tell({ type: "Broken", ...trouble });
    else if (state === "loading" && stages.every((stage) => this.#held(record, stage)?.state === "loaded"))
      this.#tell({ type: "Loaded" });
  }

  /** What is broken already is not looked at before it is placed anew. */
  get #isWatching(): boolean {
    const snapshot = this.#chart.getSnapshot();
    return WATCHING.some((state) => snapshot.matches({ working: state }));
  }

  get #record(): PlacedInstance | undefined {
    return this.#ports.agreed().instances.find(({ id }) => id === this.#id);
  }

  #held({ id, epoch }: PlacedInstance, { node }: Stage): HeldStage | undefined {
    const report = this.#ports.reportOf(node);
    return report?.stages.find((each) => each.instance === id && each.epoch === epoch);
  }

  #troubleOf(record: PlacedInstance, stage: Stage): Trouble | undefined {
    const { lost, bars, reportOf } = this.#ports;
    const isLoading = record.state === "loading";
    const gone = lost(stage.node);
    if (gone !== undefined) {
      if (isLoading) bars.add(stage.node, "it was lost while it loaded its part");
      return { problem: { kind: "unavailable", message: gone }, counts: false };
    }
    const held = this.#held(record, stage);
    if (held?.state === "failed") {
      const problem = held.problem ?? { kind: "internal", message: "a part of the model failed" };
      if (isLoading) bars.add(stage.node, problem.message);
      return { problem, counts: true };
    }
    const report = reportOf(stage.node);
    const isLost = !held && report !== undefined && report.heard >= record.epoch;
    const isOther = held && stage.worker !== undefined && held.worker !== stage.worker;
    if (!isLost && !isOther) return undefined;
    const message = `the part of ${record.model} on one machine is gone, as after its restart`;
    return { problem: { kind: "unavailable", message }, counts: false };
  }

  async #place({ wasReady, problem }: { wasReady: boolean; problem: ProblemBody }): Promise<void> {
    const before = this.#record;
    if (!before) throw new Problem("unavailable", "the model was stopped");
    const { self: asker, bars, agreed } = this.#ports;
    const { id, model, wish, settings, epoch: after } = before;
    const wanted = { model, wish, settings, asker, barred: bars.now, before, again: wasReady };
    const choice = await decided(this.#ports, wanted).catch((error: unknown) => {
      throw because(problem, error);
    });
    const { digest, stages } = choice;
    const place = { type: "instance", does: "place", id, model, wish, settings, after } as const;
    await agreed().propose({ ...place, digest, stages: [...stages] });
  }

  async #join(): Promise<void> {
    const { join, agreed, bars } = this.#ports;
    const record = this.#record;
    if (!record) throw new Problem("unavailable", "the model was stopped");
    const { id, epoch } = record;
    const stages = record.stages.map((stage) => {
      const worker = this.#held(record, stage)?.worker;
      if (!worker) throw new Problem("unavailable", "a part of the model is gone");
      return { ...stage, worker };
    });
    const workers: Address[] = stages.map(({ worker }) => worker);
    if (stages.length > 1)
      await Promise.all(stages.map(({ node }) => join(node, { instance: id, epoch, workers })));
    const last = record.stages.at(-1);
    const facts = last && this.#held(record, last)?.facts;
    for (const { node } of stages) bars.clear(node);
    await agreed().propose({ type: "instance", does: "ready", id, epoch, stages, ...(facts && { facts }) });
  }

  /** The last stage drives: while it ends what it does, it needs the others. */
  async #drain(now: boolean): Promise<void> {
    const record = this.#record;
    if (!record) return;
    const { id: instance, epoch, stages } = record;
    await this.#propose({ does: "drain" });
    // A machine that is not there ends its part by itself, as soon as it hears that the instance is no more.
    for (const { node } of stages.toReversed())
      await this.#ports
        .end(node, { instance, epoch, now })
        .catch((error: unknown) => this.#ports.troubled(problemBody(error).message));
  }

  #tellHome(change: { does: "fail"; problem: ProblemBody } | { does: "gone" }): void {
    void this.#propose(change).finally(() => this.#over.resolve());
  }

  /** What the home does not agree to is another leader's to say. */
  async #propose(change: { does: "fail"; problem: ProblemBody } | { does: "gone" | "drain" }): Promise<void> {
    const record = this.#record;
    if (!record) return;
    const { id, epoch } = record;
    const command = { type: "instance", id, epoch, ...change } as About;
    await this.#ports
      .agreed()
      .propose(command)
      .catch((error: unknown) => this.#ports.troubled(problemBody(error).message));
  }

  /** News that comes after the end is old: the chart takes no more. */
  #tell(event: PlacementEvent): void {
    if (this.#chart.getSnapshot().status === "active") this.#chart.send(event);
  }

  #end(): void {
    void this.#over.promise.then(() => this.#ports.over());
  }

  #crashed(error: unknown): void {
    this.#over.resolve();
    this.#ports.over();
    throw error;
  }
}

/** Why it cannot be placed again, after what broke it. */
function because(broken: ProblemBody, error: unknown): unknown {
  if (!(error instanceof Problem)) return error;
  const { kind, message, param, remedy } = error;
  return new Problem(kind, `${broken.message}; ${message}`, {
    ...(param !== undefined && { param }),
    ...(remedy !== undefined && { remedy }),
    cause: error,
  });
}
