/** A home in memory: a log that agrees at once, machines that load when a test says so, and the coordinator of production. */
import type { InstanceCommand } from "#actors/supervisor/cluster/instances";
import { nextInstances } from "#actors/supervisor/cluster/instances";
import { notLeading } from "#actors/supervisor/cluster/replica";
import { Coordinator } from "#actors/supervisor/placement/coordinator";
import type { NodeView } from "#protocol/cluster";
import type { Address, NodeId } from "#protocol/ids";
import type { HeldStage, PlacedInstance } from "#protocol/placement";
import { Problem, type ProblemBody } from "#protocol/problem";
import { seeded } from "../sim/random.ts";
import { VirtualTime } from "../sim/time.ts";
import { ended, endPart, type FakeMachine, giveWay, hold, knownOf, late } from "./fake-machine.ts";
import { checkpoint, MODEL } from "./model.ts";

export class World {
  readonly time = new VirtualTime();
  readonly said: string[] = [];
  readonly machines = new Map<string, FakeMachine>();
  instances: readonly PlacedInstance[] = [];
  index = 0;
  leader = "a";
  medium: "ethernet" | "loopback" = "ethernet";
  term = 1;
  /** Whether this machine leads. */
  leads = true;
  /** Looks at the home that come to nothing. */
  blind = 0;
  /** Looks at checkpoints wait for it. */
  slow: Promise<void> = Promise.resolve();
  /** Workers join when it resolves. */
  joining: Promise<void> = Promise.resolve();
  /** Parts are ended when it resolves. */
  ending: Promise<void> = Promise.resolve();
  /** What the home says to a command instead of agreeing to it. */
  disagrees: (command: InstanceCommand) => Problem | undefined = () => undefined;
  coordinator: Coordinator;
  #lives = 0;

  constructor(...names: readonly string[]) {
    for (const name of names)
      this.machines.set(name, {
        node: name as NodeId,
        state: name === "a" ? "self" : "up",
        drained: false,
        freeBytes: 4e9,
        has: checkpoint,
        outcome: "loads",
        held: [],
        told: "",
      });
    this.coordinator = this.#made();
    this.coordinator.follow();
  }

  machine(name: string): FakeMachine {
    const found = this.machines.get(name);
    if (found) return found;
    throw new Error(`no machine ${name}`);
  }

  /** The same leader's part in placing is started again: it knows what the log says, and no machine hears of it. */
  async restart(): Promise<void> {
    this.coordinator.stop();
    this.coordinator = this.#made();
    this.coordinator.follow();
    await this.settle();
  }

  /** Another leader. */
  async newLeader(): Promise<void> {
    this.term += 1;
    await this.restart();
    for (const machine of this.machines.values()) this.#tell(machine);
    await this.settle();
  }

  /** This machine leads no more; with `again`, it does after all. */
  async deposed({ again }: { readonly again: boolean }): Promise<void> {
    this.leads = false;
    this.coordinator.follow();
    await this.settle();
    if (!again) return;
    this.leads = true;
    this.term += 1;
    this.coordinator.follow();
    for (const machine of this.machines.values()) this.#tell(machine);
    await this.settle();
  }

  /** Another leader's command, or one that was believed lost, comes into force. */
  async agree(command: InstanceCommand): Promise<void> {
    this.agreeNow(command);
    await this.settle();
  }

  /** Notes of what is placed, or why it is not. */
  place(
    wish: PlacedInstance["wish"] = {},
    settings: PlacedInstance["settings"] = { kvQuant: "f16" },
    model = MODEL,
  ): Promise<unknown> {
    return this.#asked({ wish, settings, model }).catch(({ message }: Error) => message);
  }

  /** What is said to be done where a model is not placed. */
  refusal(wish: PlacedInstance["wish"], model: string): Promise<unknown> {
    return this.#asked({ wish, settings: { kvQuant: "f16" }, model }).catch(({ remedy }: Problem) => remedy);
  }

  async #asked(asked: Pick<PlacedInstance, "wish" | "settings" | "model">): Promise<unknown> {
    const answer = this.coordinator.place("a" as NodeId, asked);
    await Promise.all([answer.catch(() => {}), this.settle()]);
    return (await answer).notes;
  }

  /** Its notes where that machine is not to hold it, which it could. */
  placeFaster(asker = "a"): Promise<unknown> {
    return this.#placedFaster(asker as NodeId).catch(({ message }: Error) => message);
  }

  async #placedFaster(asker: NodeId): Promise<unknown> {
    const answer = this.coordinator.placeFaster(asker, { model: MODEL, settings: { kvQuant: "f16" } });
    await Promise.all([answer.catch(() => {}), this.settle(30_000)]);
    const placed = await answer;
    return placed.type === "PlacementReply.Placed" ? placed.notes : "stays";
  }

  /** Whether it moved, or why not. */
  async rebalance(wish?: PlacedInstance["wish"], model = MODEL): Promise<unknown> {
    const answer = this.coordinator.rebalance("a" as NodeId, { model, ...(wish && { wish }) }).then(
      ({ moved }) => moved,
      ({ message }: Error) => message,
    );
    await this.settle();
    return await answer;
  }

  async release(): Promise<string> {
    const released = this.coordinator.release({ model: MODEL, now: true }).then(
      () => "released",
      (error: unknown) => (error as Error).message,
    );
    await this.settle();
    return await released;
  }

  /** What a part on that machine comes to. */
  becomes(name: string, state: "loaded" | ProblemBody): Promise<void> {
    return this.#partsBecome(name, (part) => ({ ...part, ...ended(name, state, part.epoch) }));
  }

  /** What still loads there is loaded. */
  loads(name: string): Promise<void> {
    return this.#partsBecome(name, (part) =>
      part.state === "loading" ? { ...part, ...ended(name, "loaded", part.epoch) } : part,
    );
  }

  /** What is still fetched there goes on. */
  fetches(name: string, fetchedBytes: number): Promise<void> {
    return this.#partsBecome(name, (part) => ({ ...part, fetchedBytes }));
  }

  /** Nobody asks the model there anything for long, or does again. */
  idles(name: string, idle: boolean): Promise<void> {
    return this.#partsBecome(name, ({ idle: _, ...part }) => (idle ? { ...part, idle } : part));
  }

  /** The worker of its part lives, and hears no more of the others. */
  parts(name: string): Promise<void> {
    return this.fails(name, {
      parted: true,
      problem: { kind: "unavailable", message: "no word of the others" },
    });
  }

  fails(name: string, how: Pick<HeldStage, "problem" | "parted" | "waited">): Promise<void> {
    return this.#partsBecome(name, ({ instance, epoch }) => ({ instance, epoch, state: "failed", ...how }));
  }

  async #partsBecome(name: string, changed: (part: HeldStage) => HeldStage): Promise<void> {
    const machine = this.machine(name);
    machine.held.splice(0, machine.held.length, ...machine.held.map(changed));
    this.#tell(machine);
    await this.settle();
  }

  async is(name: string, state: NodeView["state"]): Promise<void> {
    const machine = this.machine(name);
    machine.state = state;
    if (state === "dead") machine.held.splice(0);
    this.coordinator.follow();
    await this.settle();
  }

  /** Time for everything that follows at once, and for the pauses before it is tried again. */
  async settle(ms = 10): Promise<void> {
    for (let turn = 0; turn < 20; turn++) {
      await this.time.pass(ms / 20);
      await Promise.resolve();
    }
  }

  /** `ready a:0-2 b:2-4`: state, and the layers of each machine. */
  get shown(): string {
    return this.instances
      .map(({ state, stages, problem }) =>
        state === "failed"
          ? `failed: ${problem?.message}`
          : `${state} ${stages.map(({ node, layers }) => `${node}:${layers.start}-${layers.end}`).join(" ")}`,
      )
      .join("; ");
  }

  #made(): Coordinator {
    this.#lives += 1;
    return new Coordinator("a" as NodeId, {
      // No two lives give an instance the same id.
      clock: this.time.clock(seeded(this.#lives)),
      trace: undefined,
      agreed: () => ({
        leader: this.leader as NodeId,
        leads: this.leads,
        term: this.term,
        heard: this.index,
        instances: this.instances,
        propose: async (command) => {
          const problem = this.leads ? this.disagrees(command) : notLeading();
          if (problem) throw problem;
          return this.agreeNow(command);
        },
      }),
      known: async () => {
        if (this.blind-- > 0) throw new Problem("unavailable", "discovery did not answer");
        return knownOf([...this.machines.values()], this.leader, this.medium);
      },
      look: async (node, { ms }) => {
        await this.slow;
        const { has, isDeaf } = this.machine(node);
        if (isDeaf) await late(this.time, ms);
        if ("digest" in has) return has;
        throw new Problem(has.kind, has.message);
      },
      measure: async (node) => {
        const { measures } = this.machine(node);
        if (!measures) throw new Problem("overloaded", "it computes answers");
        this.said.push(`${node} measures`);
        return measures;
      },
      join: async (node, { epoch, workers, unmet }) => {
        this.machine(node).unmet = unmet;
        await this.joining;
        if (!workers.includes(`${node}/worker-${epoch}` as Address))
          throw new Problem("unavailable", "not here");
        this.said.push(`${node} joins ${workers.length}`);
      },
      end: async (node, { instance }) => {
        this.said.push(`${node} ends`);
        await this.ending;
        endPart(this.machine(node), instance);
      },
      alone: async (node) => this.machine(node).alone ?? [],
      giveWay: async (node, giving) => await giveWay(this.machine(node), giving),
      tell: (node) => {
        this.machine(node).told = "";
        this.#tell(this.machine(node));
      },
      crashed: (error) => this.said.push(`crashed: ${error}`),
      troubled: (why) => this.said.push(why),
    });
  }

  agreeNow(command: InstanceCommand) {
    this.index += 1;
    this.instances = nextInstances(this.instances, command, this.index);
    for (const machine of this.machines.values()) this.#follow(machine);
    queueMicrotask(() => this.coordinator.follow());
    return { term: 1, index: this.index };
  }

  /** A machine reads in the log what it has to hold. */
  #follow(machine: FakeMachine): void {
    if (machine.state === "dead" || machine.state === "connecting") return;
    hold(machine, this.instances);
    this.#tell(machine);
  }

  #tell(machine: FakeMachine): void {
    const { node, held, state } = machine;
    if (state === "dead" || state === "connecting") return;
    const [heard, stages] = [this.index, [...held]];
    const told = JSON.stringify([this.term, stages]);
    if (machine.told === told) return;
    machine.told = told;
    queueMicrotask(() => this.coordinator.held(node, { heard, stages }));
  }
}
