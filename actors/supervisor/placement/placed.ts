/** One model on several machines, as who leads looks after it: the chart of its life bound to the home's log and machines. */
import { createActor, fromPromise } from "xstate";
import { chartClock, traceChart } from "#actors/runtime/chart";
import type { RestartBudget } from "#actors/runtime/supervision";
import type { Epoch } from "#protocol/cluster";
import type { Address, NodeId } from "#protocol/ids";
import type { HeldStage, PlacedInstance, Stage } from "#protocol/placement";
import { Problem, type ProblemBody, problemBody, problemOf } from "#protocol/problem";
import type { InstanceCommand } from "../cluster/instances.ts";
import { notLeading } from "../cluster/replica.ts";
import { placedAnew } from "./anew.ts";
import type { Bars } from "./bars.ts";
import type { Claims } from "./claims.ts";
import { Crashes } from "./crashes.ts";
import type { IdleRoom } from "./idle-room.ts";
import { machine, NotAgreed, type PlacementEvent } from "./machine.ts";
import { Meetings } from "./meetings.ts";
import type { CoordinatorPorts } from "./ports.ts";
import { because } from "./refusals.ts";
import { heldOf, type Sights, type Trouble, troubleIn } from "./trouble.ts";

/** A model whose workers die more often than this is broken (reliability.md 4.5). */
export const RESTARTS = { restarts: 3, withinMs: 60_000 };
const PAUSES_MS = [200, 1_000, 5_000];

const WATCHING = ["loading", "joining", "ready"] as const;

export interface PlacedPorts extends CoordinatorPorts, Pick<Sights, "reportOf" | "lost" | "isUp"> {
  readonly self: NodeId;
  readonly bars: Bars;
  readonly claims: Claims;
  readonly room: IdleRoom;
  /** What is left of its restarts is kept beyond a failure: who asks for it again and again gets one try each. */
  readonly budget: RestartBudget;
  /** A mistake in what looks after it. */
  readonly crashed: (error: unknown) => void;
  /** It is looked after no more. */
  readonly over: () => void;
}

/** What the home is asked to agree to, of this instance. */
type Change = InstanceCommand extends infer Each
  ? Each extends InstanceCommand
    ? Omit<Each, "type" | "id">
    : never
  : never;

export class Placed {
  readonly #id: string;
  readonly #ports: PlacedPorts;
  readonly #chart;
  /** What this leader acts on: whatever it says to the home is about this one, also once there is a newer. */
  #epoch: number;
  #sinceMs = 0;
  readonly #crashes: Crashes;
  readonly #meetings: Meetings;
  /** Its ranks add up over exo's own links when they are placed anew. */
  #isMeshLeft = false;
  #wanting: PromiseWithResolvers<void>[] = [];

  constructor({ id, epoch, model }: PlacedInstance, ports: PlacedPorts) {
    this.#id = id;
    this.#epoch = epoch;
    this.#ports = ports;
    const { clock, trace, troubled, budget } = ports;
    this.#crashes = new Crashes(clock);
    this.#meetings = new Meetings(model, ports);
    const effects = machine.provide({
      actors: {
        place: fromPromise(({ input, signal }) => this.#place(input, signal)),
        join: fromPromise(({ signal }) => this.#join(signal)),
        drain: fromPromise(({ signal }) => this.#drain(signal)),
        end: fromPromise(({ input }) => this.#end(input.now)),
        fail: fromPromise(({ input, signal }) => this.#fail(input.problem, signal)),
        forget: fromPromise(({ signal }) => this.#forget(signal)),
      },
      actions: {
        adopt: () => {
          this.#actOn(this.#record?.epoch ?? this.#epoch);
        },
        // The snapshot still shows the state before.
        look: () => queueMicrotask(() => this.look()),
        say: (_, { message }) => troubled(`${model} is placed anew: ${message}`),
        sayLeaving: (_, { message }) => troubled(`${model} is stopped once its answers end: ${message}`),
        sayUnmet: (_, { message }) => this.#meetings.say(message),
        refuse: (_, problem) => this.#refuse(problemOf(problem)),
      },
      guards: {
        mayTryAgain: () => budget.spend(),
        mayMeetLater: () => this.#meetings.mayTryLater(this.#epoch),
        mayMeetElsewhere: () => this.#meetings.mayTryElsewhere(),
        says: (_, state) => this.#record?.state === state,
      },
      delays: { pause: () => PAUSES_MS[Math.min(budget.spent, PAUSES_MS.length) - 1] ?? 0 },
    });
    this.#chart = createActor(effects, { clock: chartClock(clock) });
    traceChart(this.#chart, `placement/${model}`, trace);
    this.#chart.subscribe({ complete: () => this.ended(), error: (error) => this.#crashed(error) });
  }

  start(): void {
    this.#chart.start();
  }

  /** Somebody else leads, and looks after it: nothing is said to the home any more. */
  stop(): void {
    // First, as a chart that is stopped tells its end like any other.
    this.#refuse(notLeading());
    this.#chart.stop();
  }

  /** The home knows no such model any more. */
  ended(): void {
    this.#chart.stop();
    for (const { resolve } of this.#wanting.splice(0)) resolve();
    this.#ports.over();
  }

  /** Resolves when it is looked after no more: no machine holds any of it, or it failed. Throws Problem where the home does not agree. */
  drain(now: boolean): Promise<void> {
    const wanting = Promise.withResolvers<void>();
    this.#wanting.push(wanting);
    if (this.#chart.getSnapshot().status === "active") this.#chart.send({ type: "Drain", now });
    else wanting.resolve();
    return wanting.promise;
  }

  /** Looks how its stages are, as far as machines have said. */
  look(): void {
    const record = this.#record;
    if (!record || !this.#isWatching) return;
    const { epoch, stages, state } = record;
    if (epoch !== this.#epoch || state === "draining" || state === "failed") {
      this.#tell({ type: "Moved" });
      return;
    }
    if (state === "ready") this.#tell({ type: "Ready" });
    const trouble = troubleIn(record, this.#sights);
    if (trouble) this.#break(trouble);
    else if (stages.every((stage) => this.#held(record, stage)?.state === "loaded"))
      this.#tell({ type: "Loaded" });
  }

  #break({ problem, counts, computes = false, failed, crashed, isMesh }: Trouble): void {
    if (failed) this.#ports.bars.add(failed, problem.message);
    if (crashed) this.#crashes.note(crashed);
    if (isMesh) this.#leaveMesh();
    this.#tell({ type: "Broken", problem, counts, computes });
  }

  #leaveMesh(): void {
    const { model, stages } = this.#record ?? {};
    const backend = stages?.find(({ way }) => way)?.way?.backend;
    if (this.#isMeshLeft || backend === undefined) return;
    this.#isMeshLeft = true;
    this.#ports.troubled(
      `the ranks of ${model} did not hear each other by ${backend}: they add up over exo's own links until it is stopped and asked for again`,
    );
  }

  /** What is broken already is not looked at before it is placed anew. */
  get #isWatching(): boolean {
    const snapshot = this.#chart.getSnapshot();
    return snapshot.status === "active" && WATCHING.some((state) => snapshot.matches({ working: state }));
  }

  get #sights(): Sights {
    return { ...this.#ports, nowMs: this.#ports.clock.nowMs(), sinceMs: this.#sinceMs };
  }

  get #record(): PlacedInstance | undefined {
    return this.#ports.agreed().instances.find(({ id }) => id === this.#id);
  }

  #held(record: PlacedInstance, stage: Stage): HeldStage | undefined {
    return heldOf(record, stage, this.#ports);
  }

  async #place({ problem }: { problem: ProblemBody }, signal: AbortSignal): Promise<void> {
    const before = this.#record;
    if (signal.aborted || before?.epoch !== this.#epoch) throw moved();
    const { id, model, wish, settings, faster, epoch: after } = before;
    const { claims } = this.#ports;
    const shaky = new Map([...this.#crashes.now, ...this.#meetings.now]);
    const anew = { ...this.#ports, sights: () => this.#sights, shaky, isMeshLeft: this.#isMeshLeft };
    const { digest, stages } = await placedAnew(before, anew).catch((error: unknown) => {
      throw because(problem, error);
    });
    const place = { does: "place", model, wish, settings, after, ...(faster && { faster }) } as const;
    const { index } = await this.#agree({ ...place, digest, stages: [...stages] }, signal).catch(
      (error: unknown) => {
        claims.drop(id);
        throw error;
      },
    );
    claims.agreed(id, index);
    this.#actOn(index);
  }

  #actOn(epoch: number): void {
    this.#epoch = epoch;
    this.#sinceMs = this.#ports.clock.nowMs();
  }

  async #join(signal: AbortSignal): Promise<void> {
    const { join, bars } = this.#ports;
    const record = this.#record;
    if (record?.epoch !== this.#epoch) throw moved();
    const { id, epoch } = record;
    const stages = record.stages.map((stage) => {
      const worker = this.#held(record, stage)?.worker;
      if (!worker) throw new Problem("unavailable", "a part of the model is gone");
      return { ...stage, worker };
    });
    const workers: Address[] = stages.map(({ worker }) => worker);
    const unmet = this.#meetings.why(epoch);
    const joining = { instance: id, epoch, workers, ...(unmet !== undefined && { unmet }) };
    const joined = (node: NodeId) => this.#meetings.of(node, join(node, joining));
    if (stages.length > 1) await Promise.all(stages.map(({ node }) => joined(node)));
    this.#meetings.met();
    const last = record.stages.at(-1);
    const facts = last && this.#held(record, last)?.facts;
    for (const { node } of stages) bars.clear(node);
    await this.#agree({ does: "ready", epoch, stages, ...(facts && { facts }) }, signal);
  }

  /** Of wherever it is: a placement that was on its way when its end was wanted may come into force before. */
  async #drain(signal: AbortSignal): Promise<void> {
    for (;;) {
      const record = this.#record;
      if (record) this.#actOn(record.epoch);
      if (!record || record.state === "draining") return;
      try {
        await this.#agree({ does: "drain", epoch: record.epoch }, signal);
        return;
      } catch (error) {
        if (signal.aborted || this.#record?.epoch === record.epoch) throw error;
      }
    }
  }

  /** The last stage drives: while it ends what it does, it needs the others. */
  async #end(now: boolean): Promise<void> {
    const { end, troubled, lost, isUp, claims, clock } = this.#ports;
    const [instance, epoch] = [this.#id, this.#epoch];
    // A machine that is not there ends its part by itself, as soon as it hears that the instance is no more.
    const isThere = ({ node }: Stage) => isUp(node) || !lost(node);
    const [last, ...others] = (this.#record?.stages ?? []).filter(isThere).toReversed();
    const ended = (stage: Stage | undefined) =>
      stage &&
      end(stage.node, { instance, epoch, now }).catch((error) => troubled(problemBody(error).message));
    await ended(last);
    await Promise.all(others.map(ended));
    claims.freed(clock.nowMs());
  }

  async #fail(problem: ProblemBody, signal: AbortSignal): Promise<void> {
    await this.#agree({ does: "fail", epoch: this.#epoch, problem }, signal);
  }

  async #forget(signal: AbortSignal): Promise<void> {
    await this.#agree({ does: "gone", epoch: this.#epoch }, signal);
  }

  /** Throws NotAgreed; nothing is proposed by who looks after it no more, or does something else by now. */
  async #agree(change: Change, signal: AbortSignal): Promise<Epoch> {
    if (signal.aborted) throw moved();
    const command = { type: "instance", id: this.#id, ...change } as InstanceCommand;
    try {
      return await this.#ports.agreed().propose(command);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      throw new NotAgreed(error);
    }
  }

  #refuse(problem: Problem): void {
    for (const { reject } of this.#wanting.splice(0)) reject(problem);
  }

  /** News that comes after the end is old: the chart takes no more. */
  #tell(event: PlacementEvent): void {
    if (this.#chart.getSnapshot().status === "active") this.#chart.send(event);
  }

  #crashed(error: unknown): void {
    this.#refuse(new Problem("internal", problemBody(error).message));
    this.#ports.over();
    this.#ports.crashed(error);
  }
}

const moved = (): NotAgreed =>
  new NotAgreed(new Problem("unavailable", "the model was placed or stopped by another meanwhile"));
