/** Who leads places models and looks after them; a new leader takes over from what the log says. */
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
import { Budgets } from "./budgets.ts";
import type { Choice } from "./choose.ts";
import { Claims } from "./claims.ts";
import { FASTER_MS } from "./faster.ts";
import { IdleRoom } from "./idle-room.ts";
import { Lookout } from "./lookout.ts";
import { Placed } from "./placed.ts";
import type { CoordinatorPorts } from "./ports.ts";
import { rebalanced } from "./rebalance.ts";
import { asBeforeWords, asLeader, notAsBefore } from "./refusals.ts";
import { Reports } from "./reports.ts";
import { tooLate } from "./survey.ts";
import { remembering } from "./views.ts";
import { inherited, isFor, isMet, isNone, isOptional, saysWhere, standing } from "./wishes.ts";

type Of<Type extends PlacementMessage["type"]> = Extract<PlacementMessage, { type: Type }>;
interface Deciding {
  readonly made: Promise<unknown>;
  /** Where it is placed in any case: what others who wish for no more share. */
  readonly shared?: {
    readonly wish: PlacementWish;
    readonly placed: Promise<Answer<"PlacementReply.Placed">>;
  };
}
type Answer<Type extends PlacementReply["type"]> = Extract<PlacementReply, { type: Type }>;

interface ToPlace extends Omit<Of<"Placement.Place">, "type"> {
  readonly failed?: PlacedInstance;
  /** Where that one was to be is where it goes. */
  readonly isKept?: boolean;
  readonly faster?: boolean;
}

export class Coordinator {
  readonly #self: NodeId;
  readonly #ports: CoordinatorPorts;
  readonly #bars: Bars;
  readonly #placed = new Map<string, Placed>();
  readonly #reports: Reports;
  /** Placements that are being decided, by model: two who ask for one get one. */
  readonly #deciding = new Map<string, Deciding>();
  readonly #lookout: Lookout;
  readonly #claims = new Claims();
  readonly #room: IdleRoom;
  readonly #budgets: Budgets;
  /** In which this machine leads. */
  #term: number | undefined;

  constructor(self: NodeId, ports: CoordinatorPorts) {
    this.#self = self;
    this.#ports = { ...ports, look: remembering(ports.look) };
    this.#bars = new Bars(ports.clock);
    this.#budgets = new Budgets(ports.clock);
    this.#reports = new Reports({
      nowMs: ports.clock.nowMs,
      isLost: (node) => this.#lookout.lossOf(node) !== undefined,
      tell: ports.tell,
    });
    this.#room = new IdleRoom({
      ...this.#ports,
      claims: this.#claims,
      sights: () => this.#sights,
      release: async (model) => void (await this.release({ model, now: false })),
    });
    this.#lookout = new Lookout({
      ...ports,
      looked: () => this.#look(),
      isNeeded: () => this.#placed.size > 0,
    });
  }

  /** Throws Problem. */
  async place(
    asker: NodeId,
    { model, wish: said, settings }: Omit<Of<"Placement.Place">, "type">,
  ): Promise<Answer<"PlacementReply.Placed">> {
    this.#requireLead();
    const known = this.#instances.find((each) => each.model === model);
    if (known && known.state !== "failed") return standing(known, said);
    // Where it was to be stands until it is stopped, or somebody says another place.
    const wish = known ? inherited(said, known.wish) : said;
    const under = this.#deciding.get(model);
    if (under?.shared && isMet(said, under.shared.wish)) return await under.shared.placed;
    if (under) {
      // Whoever comes second with another wish hears what came of the first.
      await under.made.catch(() => {});
      return await this.place(asker, { model, wish: said, settings });
    }
    const isKept = known !== undefined && !saysWhere(said) && !isNone(known.wish);
    const asked = { model, wish, settings, ...(known && { failed: known, isKept }) };
    const made = asLeader(this.#ports.agreed, () => this.#place(asker, asked));
    this.#deciding.set(model, { made, shared: { wish, placed: made } });
    return await made.finally(() => this.#deciding.delete(model));
  }

  /** Only where it answers much faster than by whoever asks, who could hold it. Throws Problem. */
  async placeFaster(
    asker: NodeId,
    { model, settings }: Omit<Of<"Placement.PlaceFaster">, "type">,
    sinceMs = this.#ports.clock.nowMs(),
  ): Promise<Answer<"PlacementReply.Placed" | "PlacementReply.Stays">> {
    this.#requireLead();
    const under = this.#deciding.get(model);
    await under?.made.catch(() => {});
    if (under) return await this.placeFaster(asker, { model, settings }, sinceMs);
    const known = this.#instances.find((each) => each.model === model);
    const isThere = known !== undefined && isOptional(known, asker);
    // Whoever asks has yet to hear of it.
    if (known && !isThere && !(known.state === "failed" && isNone(known.wish)))
      return await this.place(asker, { model, wish: {}, settings });
    // By now whoever asked may hold it.
    if (this.#ports.clock.nowMs() - sinceMs > FASTER_MS) throw tooLate(model);
    const asked = { model, wish: {}, settings, faster: true, ...(known && { failed: known }) };
    if (isThere) {
      const is = await asLeader(this.#ports.agreed, () => this.#isFaster(asker, asked, known));
      return is ? standing(known, {}) : PlacementReply.Stays({});
    }
    const made = asLeader(this.#ports.agreed, () => this.#placeFaster(asker, asked));
    this.#deciding.set(model, { made });
    return await made.finally(() => this.#deciding.delete(model));
  }

  /** Resolves when the memory of all machines is free; throws Problem. */
  async release(asked: Pick<Of<"Placement.Release">, "model" | "now">) {
    return await asLeader(this.#ports.agreed, () => this.#release(asked));
  }

  async #release({ model, now }: Pick<Of<"Placement.Release">, "model" | "now">) {
    // Where it goes is being decided: it would come up a moment later.
    await this.#deciding.get(model)?.made.catch(() => {});
    const known = this.#instances.find((each) => each.model === model);
    if (!known) throw new Problem("notFound", `${model} is not loaded`, { remedy: "`exo ps` lists what is" });
    if (known.state !== "failed") await this.#lookedAfter(known).drain(now);
    const left = this.#instances.find(({ id }) => id === known.id);
    if (left && left.state !== "failed")
      throw new Problem("unavailable", `${model} is still there: another wanted it meanwhile`);
    const { id, epoch } = left ?? known;
    if (left) await this.#ports.agreed().propose({ type: "instance", does: "gone", id, epoch });
    return PlacementReply.Released({});
  }

  /** Throws Problem. */
  async rebalance(asker: NodeId, { model, wish }: Omit<Of<"Placement.Rebalance">, "type">) {
    this.#requireLead();
    const record = this.#instances.find((each) => each.model === model);
    if (!record)
      throw new Problem("notFound", `no machines hold ${model} together`, {
        remedy: `exo run ${model} --nodes A,B places it; \`exo ps\` lists what is loaded`,
      });
    const claimed = () => this.#claims.beside(record.id, this.#instances, this.#sights);
    return await rebalanced(
      { ...this.#ports, room: this.#room },
      {
        ...{ record, wish, asker, claimed },
        barred: this.#bars.now,
        claims: this.#claims,
        lost: (node) => this.#lookout.lossOf(node) !== undefined,
      },
    );
  }

  /** What a machine says of all that it holds; who does not lead has no use for it. */
  held(from: NodeId, said: Pick<Of<"Placement.Held">, "heard" | "stages">): void {
    if (!this.#ports.agreed().leads) return;
    this.#reports.heard(from, said);
    for (const each of this.#placed.values()) each.look();
  }

  /** The log, who leads, or how a machine is, is another. */
  follow(): void {
    const { leads, term, instances } = this.#ports.agreed();
    if (!leads || term !== this.#term) this.#rest();
    this.#term = leads ? term : undefined;
    if (!leads) return;
    for (const [id, placed] of this.#placed) if (!instances.some((each) => each.id === id)) placed.ended();
    for (const each of instances) if (each.state !== "failed") this.#lookedAfter(each);
    this.#lookout.looks();
  }

  stop(): void {
    this.#rest();
  }

  get #instances(): readonly PlacedInstance[] {
    return this.#ports.agreed().instances;
  }

  get #sights() {
    return { nowMs: this.#ports.clock.nowMs(), reportOf: (node: NodeId) => this.#reports.of(node) };
  }

  #requireLead(): void {
    if (!this.#ports.agreed().leads) throw notLeading();
  }

  async #place(asker: NodeId, asked: ToPlace): Promise<Answer<"PlacementReply.Placed">> {
    const { failed, isKept } = asked;
    const id = failed?.id ?? this.#ports.clock.freshId();
    const wanted = this.#wanted(id, asker, asked);
    const choice = await this.#room.decided(id, wanted).catch((error: unknown) => {
      throw failed && isKept ? notAsBefore(failed, error) : error;
    });
    return await this.#agree(id, choice, asked);
  }

  async #placeFaster(
    asker: NodeId,
    asked: ToPlace,
  ): Promise<Answer<"PlacementReply.Placed" | "PlacementReply.Stays">> {
    const id = asked.failed?.id ?? this.#ports.clock.freshId();
    const choice = await this.#room.faster(id, this.#wanted(id, asker, asked));
    return choice ? await this.#agree(id, choice, asked) : PlacementReply.Stays({});
  }

  /** Of what is placed already, as another asked for it: nothing comes of this. */
  async #isFaster(asker: NodeId, asked: ToPlace, { id, stages }: PlacedInstance): Promise<boolean> {
    const wanted = { ...this.#wanted(id, asker, asked), claim: () => {}, held: stages };
    const isFaster = (await this.#room.faster(id, wanted)) !== undefined;
    return isFaster && this.#instances.some((each) => each.id === id && isFor(each, asked.settings));
  }

  #wanted(id: string, asker: NodeId, { model, wish, settings }: ToPlace) {
    return {
      ...{ model, wish, settings, asker, again: false, isEnding: this.#claims.isFreeing(this.#sights.nowMs) },
      barred: this.#bars.now,
      claimed: () => this.#claims.beside(id, this.#instances, this.#sights),
      claim: (bytes: Choice["bytes"]) => this.#claims.make(id, bytes),
    };
  }

  async #agree(
    id: string,
    { stages, digest, notes }: Choice,
    { failed, isKept = false, ...asked }: ToPlace,
  ): Promise<Answer<"PlacementReply.Placed">> {
    const { agreed } = this.#ports;
    const kept = isKept ? failed : undefined;
    const place = { type: "instance", does: "place", id, digest, ...asked } as const;
    try {
      const { index } = await agreed().propose({ ...place, stages: [...stages], after: failed?.epoch ?? 0 });
      this.#claims.agreed(id, index);
      const asBefore = kept ? [asBeforeWords(kept)] : [];
      return PlacementReply.Placed({ id, epoch: index, notes: [...asBefore, ...notes] });
    } catch (error) {
      this.#claims.drop(id);
      // Who led before may have placed it, and the home may have heard of that only now.
      const known = this.#instances.find((each) => each.model === asked.model && each.state !== "failed");
      if (known) return standing(known, kept ? {} : asked.wish);
      throw error;
    }
  }

  /** Nobody but who leads knows; what machines said may be old when this node leads again. */
  #rest(): void {
    this.#lookout.rest();
    for (const each of this.#placed.values()) each.stop();
    this.#placed.clear();
    this.#reports.clear();
    this.#claims.rest();
  }

  #lookedAfter(record: PlacedInstance): Placed {
    const known = this.#placed.get(record.id);
    if (known) return known;
    const made: Placed = new Placed(record, {
      ...this.#ports,
      self: this.#self,
      bars: this.#bars,
      claims: this.#claims,
      room: this.#room,
      budget: this.#budgets.of(record.id, this.#instances),
      reportOf: (node) => this.#reports.of(node),
      lost: (node) => this.#lookout.lossOf(node),
      isUp: (node) => this.#lookout.isUp(node),
      over: () => this.#placed.get(record.id) === made && this.#placed.delete(record.id),
    });
    this.#placed.set(record.id, made);
    made.start();
    return made;
  }

  #look(): void {
    this.#reports.forgetLost();
    if (!this.#ports.agreed().leads) return;
    for (const each of this.#placed.values()) each.look();
    this.#reports.ask(this.#instances);
  }
}
