/** Workers that are loaded and were told of each other, and cannot meet: how long that is waited for, and where they were. */
import type { Clock } from "#actors/runtime/clock";
import type { NodeId } from "#protocol/ids";

/** A link that was lost, or a machine that hears of another leader, is over in seconds; a closed port is not. */
const MEET_MS = 120_000;
/** Where it fits on other machines these are tried; then whoever waits for the model is told. */
const PLACEMENTS = 3;

/** As long as a message may have it. */
const WHY_MAX = 1024;

export interface MeetingsPorts {
  readonly clock: Clock;
  /** For the log. */
  readonly troubled: (why: string) => void;
}

export class Meetings {
  readonly #ports: MeetingsPorts;
  readonly #model: string;
  readonly #unmet = new Set<NodeId>();
  #epoch: number | undefined;
  #sinceMs = 0;
  #placements = 0;
  /** The last of this epoch. */
  #why: string | undefined;

  constructor(model: string, ports: MeetingsPorts) {
    this.#model = model;
    this.#ports = ports;
  }

  /** Where one could not, with the reason. */
  get now(): ReadonlyMap<NodeId, string> {
    return new Map(
      [...this.#unmet].map((node) => [node, "is left out: its worker could not meet the others"]),
    );
  }

  /** Why they could not meet in that epoch, if so. */
  why(epoch: number): string | undefined {
    return epoch === this.#epoch ? this.#why : undefined;
  }

  async of(node: NodeId, joined: Promise<void>): Promise<void> {
    try {
      await joined;
    } catch (error) {
      this.#unmet.add(node);
      throw error;
    }
  }

  /** Those of this epoch may be told of each other again. */
  mayTryLater(epoch: number): boolean {
    const nowMs = this.#ports.clock.nowMs();
    if (epoch !== this.#epoch) [this.#epoch, this.#sinceMs, this.#why] = [epoch, nowMs, undefined];
    return nowMs - this.#sinceMs < MEET_MS;
  }

  /** The model may be placed anew; asking counts. */
  mayTryElsewhere(): boolean {
    this.#placements += 1;
    return this.#placements < PLACEMENTS;
  }

  /** Once for each placement. */
  say(why: string): void {
    if (this.#why === undefined)
      this.#ports.troubled(`the workers of ${this.#model} cannot meet yet: ${why}`);
    this.#why = why.slice(0, WHY_MAX);
  }

  met(): void {
    this.#unmet.clear();
    this.#placements = 0;
    this.#why = undefined;
  }
}
