/** Who waits for the end of whom, on this node and across links. Every watch is told once, or taken back. */
import type { Address } from "#protocol/ids";
import type { EndKind } from "#protocol/runtime";

/** Why an actor is no more. */
export interface End {
  readonly how: EndKind;
  readonly why: string;
  /** It is there, and may be watched anew: what was said by the lane to it may be lost. */
  readonly lane?: true | undefined;
  /** What was thrown, where the actor was one of this process. */
  readonly cause?: unknown;
}

interface Watch {
  readonly actor: Address;
  readonly told: (end: End) => void;
}

/** Watches that one peer may hold here: a bound on what a hostile member can make grow. */
export const WATCHES_PER_PEER_MAX = 4096;

export class Watches {
  readonly #watches = new Map<number, Watch>();
  readonly #byActor = new Map<Address, Set<number>>();
  #last = 0;

  get size(): number {
    return this.#watches.size;
  }

  add(actor: Address, told: (end: End) => void): number {
    this.#last += 1;
    this.#watches.set(this.#last, { actor, told });
    const known = this.#byActor.get(actor);
    if (known) known.add(this.#last);
    else this.#byActor.set(actor, new Set([this.#last]));
    return this.#last;
  }

  /** False when it was told or taken back already. */
  remove(id: number): boolean {
    const watch = this.#watches.get(id);
    if (!watch) return false;
    this.#watches.delete(id);
    const others = this.#byActor.get(watch.actor);
    others?.delete(id);
    if (others?.size === 0) this.#byActor.delete(watch.actor);
    return true;
  }

  watched(actor: Address): boolean {
    return this.#byActor.has(actor);
  }

  /** Tells one watch, if it is on this actor. */
  tell(id: number, actor: Address, end: End): void {
    const watch = this.#watches.get(id);
    if (watch?.actor === actor && this.remove(id)) watch.told(end);
  }

  tellAll(actor: Address, end: End): void {
    for (const id of [...(this.#byActor.get(actor) ?? [])]) this.tell(id, actor, end);
  }

  /** The watched actors of which `concerns` says so, with each watch on them. */
  of(concerns: (actor: Address) => boolean): readonly (readonly [id: number, actor: Address])[] {
    return [...this.#byActor].flatMap(([actor, ids]) =>
      concerns(actor) ? [...ids].map((id) => [id, actor] as const) : [],
    );
  }
}

/** As `system.watch`, until the actor is no more: each time that only the lane to it breaks, that is told, and it is watched on. */
export function watchedAnew(
  system: { readonly watch: (actor: Address, told: (end: End) => void) => () => void },
  actor: Address,
  told: (end: End) => void,
): () => void {
  const again = (end: End) => {
    if (end.lane) unwatch = system.watch(actor, again);
    told(end);
  };
  let unwatch = system.watch(actor, again);
  return () => unwatch();
}
