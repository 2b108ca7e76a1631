/** Memory that models are about to take: machines tell what is free only once it is taken. */
import type { NodeId } from "#protocol/ids";
import type { PlacedInstance } from "#protocol/placement";
import { heldOf, type Sights } from "./trouble.ts";

interface Claim {
  /** Undefined while the home has not agreed yet. */
  readonly epoch: number | undefined;
  readonly bytes: ReadonlyMap<NodeId, number>;
}

/** Machines tell each other of their free memory every two seconds. */
const TOLD_MS = 5_000;
/** What a model gave back is told as free within: a machine looks at its memory every five seconds, and tells every two. */
export const FREED_TOLD_MS = 8_000;

export class Claims {
  /** When a model was stopped last. */
  #freedMs = Number.NEGATIVE_INFINITY;
  /** By instance. */
  readonly #claims = new Map<string, Claim>();
  /** From the moment of the choice: what is chosen next has to do with the rest. */
  make(instance: string, bytes: ReadonlyMap<NodeId, number>): void {
    this.#claims.set(instance, { epoch: undefined, bytes });
  }

  /** The home agreed to it. */
  agreed(instance: string, epoch: number): void {
    const bytes = this.#claims.get(instance)?.bytes;
    if (bytes) this.#claims.set(instance, { epoch, bytes });
  }

  /** It came to nothing. */
  drop(instance: string): void {
    this.#claims.delete(instance);
  }

  /** A model was stopped: its memory is free, and not told as that yet. */
  freed(nowMs: number): void {
    this.#freedMs = nowMs;
  }

  isFreeing(nowMs: number): boolean {
    return nowMs - this.#freedMs < FREED_TOLD_MS;
  }

  /** What an instance has or takes, where this leader placed it. */
  of(instance: string): ReadonlyMap<NodeId, number> {
    return this.#claims.get(instance)?.bytes ?? new Map();
  }

  /** The same where another leader placed it: its weights, as its machines tell. */
  takenBy(record: PlacedInstance, sights: Pick<Sights, "reportOf">): ReadonlyMap<NodeId, number> {
    const own = this.#claims.get(record.id);
    if (own) return own.bytes;
    return new Map(
      record.stages.map((stage) => [stage.node, heldOf(record, stage, sights)?.facts?.weightBytes ?? 0]),
    );
  }

  /** What others than that instance are still to take of each machine. */
  beside(
    instance: string | undefined,
    instances: readonly PlacedInstance[],
    sights: Pick<Sights, "reportOf" | "nowMs">,
  ): ReadonlyMap<NodeId, number> {
    const sum = new Map<NodeId, number>();
    for (const [id, claim] of this.#claims) {
      const left = id === instance ? [] : this.#left(id, claim, instances, sights);
      for (const [node, bytes] of left) sum.set(node, (sum.get(node) ?? 0) + bytes);
    }
    return sum;
  }

  /** Nobody but who leads decides. */
  rest(): void {
    this.#claims.clear();
  }

  #left(
    id: string,
    { epoch, bytes }: Claim,
    instances: readonly PlacedInstance[],
    sights: Pick<Sights, "reportOf" | "nowMs">,
  ): readonly (readonly [NodeId, number])[] {
    if (epoch === undefined) return [...bytes];
    const record = instances.find((each) => each.id === id && each.epoch === epoch);
    if (record?.state === "loading" || record?.state === "ready")
      return record.stages.map((stage) => {
        const { node } = stage;
        return [node, leftOf(bytes.get(node) ?? 0, heldOf(record, stage, sights), sights.nowMs)];
      });
    this.#claims.delete(id);
    return [];
  }
}

function leftOf(bytes: number, held: ReturnType<typeof heldOf>, nowMs: number): number {
  if (held === undefined) return bytes;
  if (held.state === "loading") return Math.max(0, bytes - (held.loadedBytes ?? 0));
  return nowMs - held.sinceMs < TOLD_MS ? bytes : 0;
}
