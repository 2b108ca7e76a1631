/** Who leads places models and looks after them; a new leader takes over from what the log says. */
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import {
  type PlacedInstance,
  type PlacementMessage,
  PlacementReply,
  type PlacementWish,
} from "#protocol/placement";
import { Problem } from "#protocol/problem";
import { notLeading } from "../cluster/replica.ts";
import { Bars } from "./bars.ts";
import { Placed, type Report } from "./placed.ts";
import type { CoordinatorPorts } from "./ports.ts";
import { decided } from "./survey.ts";

/** A machine that answers no heartbeat, but still the kernel's, is counted on for so long (reliability.md 4.1). */
const STUCK_MS = 10_000;
/** Nothing tells that a machine goes on being stuck. */
const LOOK_EVERY_MS = 2_000;

type Of<Type extends PlacementMessage["type"]> = Extract<PlacementMessage, { type: Type }>;
type Answer<Type extends PlacementReply["type"]> = Extract<PlacementReply, { type: Type }>;

export class Coordinator {
  readonly #self: NodeId;
  readonly #ports: CoordinatorPorts;
  readonly #bars: Bars;
  readonly #placed = new Map<string, Placed>();
  readonly #reports = new Map<NodeId, Report>();
  /** Placements that are being decided, by model: two who ask for one get one. */
  readonly #deciding = new Map<string, Promise<Answer<"PlacementReply.Placed">>>();
  /** Machines that cannot be counted on, with what is said of it. */
  #lost: ReadonlyMap<NodeId, string> = new Map();
  #members: ReadonlySet<NodeId> | undefined;
  #cancelLook = () => {};
  #looking = false;
  #lookAgain = false;

  constructor(self: NodeId, ports: CoordinatorPorts) {
    this.#self = self;
    this.#ports = ports;
    this.#bars = new Bars(ports.clock);
  }

  /** Throws Problem. */
  async place(asker: NodeId, { model, wish, settings }: Omit<Of<"Placement.Place">, "type">) {
    this.#requireLead();
    const known = this.#instances.find((each) => each.model === model);
    if (known && known.state !== "failed") return standing(known, wish);
    const under = this.#deciding.get(model);
    if (under) return await under;
    const made = this.#place(asker, { model, wish, settings, ...(known && { failed: known }) });
    this.#deciding.set(model, made);
    return await made.finally(() => this.#deciding.delete(model));
  }

  /** Resolves when the memory of all machines is free; throws Problem. */
  async release({ model, now }: Pick<Of<"Placement.Release">, "model" | "now">) {
    this.#requireLead();
    const known = this.#instances.find((each) => each.model === model);
    if (!known) throw new Problem("notFound", `${model} is not loaded`, { remedy: "`exo ps` lists what is" });
    const { id, epoch, state } = known;
    if (state === "failed") await this.#ports.agreed().propose({ type: "instance", does: "gone", id, epoch });
    else await this.#lookedAfter(known).drain(now);
    return PlacementReply.Released({});
  }

  /** What a machine says of all that it holds. */
  held(from: NodeId, { heard, stages }: Report): void {
    this.#reports.set(from, { heard, stages });
    if (this.#ports.agreed().leads) for (const each of this.#placed.values()) each.look();
  }

  /** The log, who leads, or how a machine is, is another. */
  follow(): void {
    const { leads, instances } = this.#ports.agreed();
    if (!leads) {
      this.#rest();
      return;
    }
    for (const [id, placed] of this.#placed)
      if (!instances.some((each) => each.id === id)) {
        placed.stop();
        this.#placed.delete(id);
      }
    for (const each of instances) if (each.state !== "failed") this.#lookedAfter(each);
    void this.#lookAtMachines();
  }

  stop(): void {
    this.#rest();
  }

  get #instances(): readonly PlacedInstance[] {
    return this.#ports.agreed().instances;
  }

  #requireLead(): void {
    if (!this.#ports.agreed().leads) throw notLeading();
  }

  async #place(
    asker: NodeId,
    { failed, ...asked }: Omit<Of<"Placement.Place">, "type"> & { failed?: PlacedInstance },
  ): Promise<Answer<"PlacementReply.Placed">> {
    const { agreed, clock } = this.#ports;
    const wanted = { ...asked, asker, barred: this.#bars.now, again: false };
    const { stages, digest, notes } = await decided(this.#ports, wanted);
    const id = failed?.id ?? clock.freshId();
    const place = { type: "instance", does: "place", id, digest, ...asked } as const;
    const { index } = await agreed().propose({ ...place, stages: [...stages], after: failed?.epoch ?? 0 });
    return PlacementReply.Placed({ id, epoch: index, notes: [...notes] });
  }

  /** Nobody but who leads knows; what machines said may be old when this node leads again. */
  #rest(): void {
    this.#cancelLook();
    for (const each of this.#placed.values()) each.stop();
    this.#placed.clear();
    this.#reports.clear();
    this.#lost = new Map();
  }

  #lookedAfter(record: PlacedInstance): Placed {
    const known = this.#placed.get(record.id);
    if (known) return known;
    const made: Placed = new Placed(record, {
      ...this.#ports,
      self: this.#self,
      bars: this.#bars,
      reportOf: (node) => this.#reports.get(node),
      lost: (node) => this.#lostWhy(node),
      over: () => this.#placed.get(record.id) === made && this.#placed.delete(record.id),
    });
    this.#placed.set(record.id, made);
    made.start();
    return made;
  }

  #lostWhy(node: NodeId): string | undefined {
    if (this.#members && !this.#members.has(node))
      return `${node.slice(0, 8)} is no machine of this home now`;
    return this.#lost.get(node);
  }

  /** One look at a time; what changes meanwhile is looked at after it. */
  async #lookAtMachines(): Promise<void> {
    this.#lookAgain = true;
    if (this.#looking) return;
    this.#looking = true;
    while (this.#lookAgain) {
      this.#lookAgain = false;
      const { nodes } = await this.#ports.known();
      this.#members = new Set(nodes.filter(({ state }) => state !== "unpaired").map(({ node }) => node));
      const reasons = nodes.map((view) => [view.node, lostWhy(view)] as const);
      this.#lost = new Map(reasons.flatMap(([node, why]) => (why === undefined ? [] : [[node, why]])));
      for (const node of this.#reports.keys()) if (this.#lostWhy(node)) this.#reports.delete(node);
      if (this.#ports.agreed().leads) for (const each of this.#placed.values()) each.look();
    }
    this.#looking = false;
    this.#cancelLook();
    if (this.#placed.size > 0)
      this.#cancelLook = this.#ports.clock.after(LOOK_EVERY_MS, () => void this.#lookAtMachines());
  }
}

/** Why a machine's stages are to be moved. */
function lostWhy({ name, state, drained, excluded, silentMs = 0 }: NodeView): string | undefined {
  if (state === "dead" || state === "away") return `${name} is ${state}`;
  if (state === "stuck" && silentMs > STUCK_MS) return `${name} does not answer`;
  return drained || excluded ? `${name} is ${drained ? "drained" : "excluded"}` : undefined;
}

function standing({ id, epoch, model, wish: had, stages }: PlacedInstance, wish: PlacementWish) {
  if (Object.keys(wish).length === 0 || Bun.deepEquals(wish, had))
    return PlacementReply.Placed({ id, epoch, notes: [] });
  throw new Problem(
    "invalid",
    `${model} is on ${stages.length} machine${stages.length === 1 ? "" : "s"} already, as it was asked for before`,
    {
      remedy: `stop it first: exo stop ${model}`,
    },
  );
}
