/** Memory that models are about to take: machines tell what is free only once it is taken. Placements are decided one after the other. */
import type { NodeId } from "#protocol/ids";
import type { PlacedInstance } from "#protocol/placement";
import { heldOf, type Sights } from "./trouble.ts";

interface Claim {
  readonly epoch: number;
  readonly bytes: ReadonlyMap<NodeId, number>;
}

/** Machines tell each other of their free memory every two seconds. */
const TOLD_MS = 5_000;

export class Claims {
  /** By instance. */
  readonly #claims = new Map<string, Claim>();
  #last: Promise<unknown> = Promise.resolve();

  /** What runs here sees what those before it claimed. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {}); // Told to who wanted it.
    return done;
  }

  note(instance: string, epoch: number, bytes: ReadonlyMap<NodeId, number>): void {
    this.#claims.set(instance, { epoch, bytes });
  }

  /** What others than that instance are still to take of each machine. */
  beside(
    instance: string | undefined,
    instances: readonly PlacedInstance[],
    sights: Pick<Sights, "reportOf" | "nowMs">,
  ): ReadonlyMap<NodeId, number> {
    const sum = new Map<NodeId, number>();
    for (const [id, { epoch, bytes }] of this.#claims) {
      const record = instances.find((each) => each.id === id && each.epoch === epoch);
      if (record?.state !== "loading" && record?.state !== "ready") this.#claims.delete(id);
      else if (id !== instance)
        for (const { node, layers } of record.stages) {
          const left = leftOf(bytes.get(node) ?? 0, heldOf(record, { node, layers }, sights), sights.nowMs);
          sum.set(node, (sum.get(node) ?? 0) + left);
        }
    }
    return sum;
  }

  /** Nobody but who leads decides, and what waits for its turn then waits for nothing. */
  rest(): void {
    this.#claims.clear();
    this.#last = Promise.resolve();
  }
}

function leftOf(bytes: number, held: ReturnType<typeof heldOf>, nowMs: number): number {
  if (held === undefined) return bytes;
  if (held.state === "loading") return Math.max(0, bytes - (held.loadedBytes ?? 0));
  return nowMs - held.sinceMs < TOLD_MS ? bytes : 0;
}
