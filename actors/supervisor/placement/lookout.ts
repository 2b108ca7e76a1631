/** Which machines cannot be counted on, as who leads sees them: looked at whenever one is another, and every two seconds. */

import type { Known } from "#actors/planner/home-of";
import type { Clock } from "#actors/runtime/clock";
import { crashOf } from "#actors/runtime/part";
import type { NodeView } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { problemBody } from "#protocol/problem";

/** A machine of which no heartbeat comes, but whose kernel answers or which others hear, is counted on for so long (reliability.md 4.1). */
const STUCK_MS = 10_000;
/** As long for one that this machine has no link to since it leads: it may be off since before that, and then nothing tells its end. */
const UNSEEN_MS = 10_000;
/** Nothing tells that a machine goes on being stuck. */
export const LOOK_EVERY_MS = 2_000;

export interface LookoutPorts {
  readonly clock: Clock;
  readonly known: () => Promise<Known>;
  /** It was looked. */
  readonly looked: () => void;
  /** Whether there is anything to look for. */
  readonly isNeeded: () => boolean;
  readonly troubled: (why: string) => void;
}

export interface Loss {
  readonly why: string;
  /** Somebody wanted that: it is no fault of the machine. */
  readonly wanted: boolean;
}

export class Lookout {
  readonly #ports: LookoutPorts;
  #lost: ReadonlyMap<NodeId, Loss> = new Map();
  #members: ReadonlySet<NodeId> | undefined;
  #up: ReadonlySet<NodeId> = new Set();
  /** Since when machines that have no link yet are waited for. */
  readonly #unseen = new Map<NodeId, number>();
  #cancel = () => {};
  #looking = false;
  #lookAgain = false;

  constructor(ports: LookoutPorts) {
    this.#ports = ports;
  }

  /** Why a machine cannot be counted on; undefined for one that can, as far as it is known. */
  lossOf(node: NodeId): Loss | undefined {
    if (this.#members && !this.#members.has(node))
      return { why: `${node.slice(0, 8)} is no machine of this home now`, wanted: true };
    return this.#lost.get(node);
  }

  /** Whether it was linked and well at the last look. */
  isUp(node: NodeId): boolean {
    return this.#up.has(node);
  }

  /** What was seen is old when this machine leads again. */
  rest(): void {
    this.#cancel();
    this.#lost = new Map();
    this.#members = undefined;
    this.#up = new Set();
    this.#unseen.clear();
  }

  looks(): void {
    void this.look().catch(crashOf(this.#ports.clock));
  }

  /** One look at a time; what changes meanwhile is looked at after it. */
  async look(): Promise<void> {
    this.#lookAgain = true;
    if (this.#looking) return;
    this.#looking = true;
    try {
      while (this.#lookAgain) {
        this.#lookAgain = false;
        this.#take(await this.#ports.known());
        this.#ports.looked();
      }
    } catch (error) {
      this.#ports.troubled(`the home's machines could not be looked at: ${problemBody(error).message}`);
    } finally {
      this.#looking = false;
      this.#cancel();
      if (this.#ports.isNeeded()) this.#cancel = this.#ports.clock.after(LOOK_EVERY_MS, () => this.looks());
    }
  }

  #take({ nodes }: Known): void {
    const nowMs = this.#ports.clock.nowMs();
    const members = nodes.filter(({ state }) => state !== "unpaired");
    this.#members = new Set(members.map(({ node }) => node));
    this.#up = new Set(
      members.filter(({ state }) => state === "self" || state === "up").map(({ node }) => node),
    );
    for (const { node, state } of members)
      if (state !== "connecting" && state !== "copied") this.#unseen.delete(node);
      else if (!this.#unseen.has(node)) this.#unseen.set(node, nowMs);
    const losses = members.map((view) => [view.node, this.#lossIn(view, nowMs)] as const);
    this.#lost = new Map(losses.flatMap(([node, loss]) => (loss ? [[node, loss]] : [])));
  }

  /** Why a machine's stages are to be moved. */
  #lossIn({ node, name, state, drained, excluded, silentMs = 0 }: NodeView, nowMs: number): Loss | undefined {
    if (drained || excluded) return { why: `${name} is ${drained ? "drained" : "excluded"}`, wanted: true };
    if (state === "dead") return { why: `${name} is dead`, wanted: false };
    if (state === "away") return { why: `${name} is away`, wanted: true };
    const unseenMs = nowMs - (this.#unseen.get(node) ?? nowMs);
    const isOut = (state === "stuck" || state === "suspect") && silentMs > STUCK_MS;
    const isSilent = isOut || unseenMs > UNSEEN_MS;
    return isSilent ? { why: `${name} does not answer`, wanted: false } : undefined;
  }
}
