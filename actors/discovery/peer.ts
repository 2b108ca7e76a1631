/** One member as this node sees it: its link, its heartbeats, and the chart that draws conclusions from both. */
import { type Actor, createActor } from "xstate";
import { chartClock } from "#actors/runtime/chart";
import type { Clock } from "#actors/runtime/clock";
import { crashOf } from "#actors/runtime/part";
import { ANOTHER, type Endpoint, type Link, type Network } from "#actors/runtime/transport/network";
import type { NodeState } from "#protocol/cluster";
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { Arrivals } from "./arrivals.ts";
import { Crossing } from "./crossing.ts";
import { KernelQuestion } from "./kernel-question.ts";
import { type PeerEffects, peerMachine } from "./peer-machine.ts";
import { Twins } from "./twins.ts";
import { Whereabouts } from "./whereabouts.ts";

export interface PeerPorts {
  readonly self: NodeId;
  readonly clock: Clock;
  readonly network: Pick<Network, "dial">;
  /** Whether the machine at the endpoint answers a TCP connection at all. */
  readonly probe: (endpoint: Endpoint) => Promise<boolean>;
  /** Asks the other members whether they hear it. */
  readonly ask: (node: NodeId) => void;
  /** Whether one more dial may start now: a bound over all peers. */
  readonly mayDial: () => boolean;
  readonly linked: (node: NodeId, link: Link) => void;
  readonly unlinked: (node: NodeId) => void;
  readonly changed: (node: NodeId, state: NodeState) => void;
  /** Says over a link, before it ends, that two machines have the identity of the node. */
  readonly tellCopied: (node: NodeId, link: Link) => void;
}

export const BEAT_MS = 250;
/** A process that was itself late may not accuse others: their messages wait in its own queues. */
export const LATE_MS = 150;
const PHI_SUSPECT = 8;
const SILENCE_SUSPECT_MS = 1000;
const DIAL_FIRST_MS = 500;
/** One that was lost may be behind a cut that heals: both sides try often enough to agree within 5 seconds of it. */
const DIAL_LAST_MS = 2000;
/** One that is long gone is off, or elsewhere. */
const LONG_MS = 10 * 60_000;
const DIAL_LONG_MS = 30_000;
/** A machine in reach answers within it, also when its system has to ask a second time (after 1 s, RFC 6298). */
const ATTEMPT_MS = 2500;

export class Peer {
  readonly node: NodeId;
  state: NodeState = "connecting";
  /** When it came into this state, by the clock. */
  sinceMs: number;
  readonly where = new Whereabouts();
  readonly #ports: PeerPorts;
  readonly #chart: Actor<typeof peerMachine>;
  #waitingSinceMs = 0;
  #link: Link | undefined;
  #linkedMs = Number.NEGATIVE_INFINITY;
  #arrivals: Arrivals;
  readonly #twins = new Twins();
  readonly #crossing: Crossing;
  readonly #kernel = new KernelQuestion();
  #dialling: AbortController | undefined;
  #pauseMs = DIAL_FIRST_MS;
  /** Where it was heard from just now: dialled before all others. */
  #fresh: Endpoint | undefined;
  /** Ends the attempt under way, or the pause before the next. */
  #hurry = () => {};

  constructor(node: NodeId, ports: PeerPorts) {
    this.node = node;
    this.#ports = ports;
    this.#crossing = new Crossing(ports.self);
    this.sinceMs = ports.clock.nowMs();
    this.#arrivals = new Arrivals(BEAT_MS, ports.clock.nowMs());
    this.#chart = createActor(peerMachine, { clock: chartClock(ports.clock), input: this.#effects() });
  }

  get endpoints(): readonly Endpoint[] {
    return this.where.all;
  }

  get silenceMs(): number {
    return this.#arrivals.silenceMs(this.#ports.clock.nowMs());
  }

  start(): void {
    this.#chart.start();
  }

  stop(): void {
    this.#chart.stop();
    this.#kernel.stop();
    this.#stopDialling();
    this.#drop();
  }

  /** Somewhere it may be reached; the newest is tried first, and at once. */
  learn(endpoint: Endpoint): void {
    const isNew = this.where.learn(endpoint);
    if (!isNew || !this.#dialling) return;
    this.#fresh = endpoint;
    this.#hurry();
  }

  /** A control link is open, dialled by either side. */
  join(link: Link): void {
    // A dial may succeed in the moment in which its member is forgotten.
    if (this.#chart.getSnapshot().status === "stopped") {
      link.close();
      return;
    }
    const nowMs = this.#ports.clock.nowMs();
    // Both ends of a silent link may differ in whether it lives: then the newer is right, as nobody dials who has one.
    const isRecent = nowMs - this.#linkedMs < ATTEMPT_MS && this.state === "up";
    if (this.#crossing.turnsAway(link, this.#link, isRecent)) {
      link.close();
      return;
    }
    const verdict = this.#twins.meet(link.peer.boot, this.#linked(), nowMs);
    if (verdict !== "take") {
      if (verdict === "copied") this.#turnAway(link);
      else link.close();
      return;
    }
    const before = this.#link;
    this.#link = link;
    link.onClose = () => this.#closed(link);
    before?.close();
    // Who dialled did so from a port of the moment; where it listens it says itself.
    if (link.dialled) this.where.met(link.remote);
    this.#arrivals = new Arrivals(BEAT_MS, nowMs);
    this.#linkedMs = nowMs;
    this.#ports.linked(this.node, link);
    this.#chart.send({ type: "LinkUp" });
  }

  #linked(): { readonly boot: string; readonly silenceMs: number } | undefined {
    return this.#link && { boot: this.#link.peer.boot, silenceMs: this.silenceMs };
  }

  /** Both of a copied identity are told, and get no link. */
  #turnAway(link: Link): void {
    for (const each of this.#link ? [link, this.#link] : [link]) this.#ports.tellCopied(this.node, each);
    link.close();
    this.#chart.send({ type: "Copied" });
  }

  /** It says that another machine has this one's identity. */
  turnedAway(): void {
    this.#chart.send({ type: "TurnedAway" });
  }

  heard(): void {
    this.#arrivals.heard(this.#ports.clock.nowMs());
    if (this.state !== "up") this.#chart.send({ type: "Heard" });
  }

  heardElsewhere(): void {
    if (this.state === "suspect") this.#chart.send({ type: "HeardElsewhere" });
  }

  goodbye(): void {
    this.#chart.send({ type: "Goodbye" });
  }

  /** Looks whether its heartbeats are missed; not asked while this node doubts itself. */
  check(): void {
    const nowMs = this.#ports.clock.nowMs();
    const missed =
      this.#arrivals.silenceMs(nowMs) >= SILENCE_SUSPECT_MS || this.#arrivals.phi(nowMs) > PHI_SUSPECT;
    if (missed && this.state === "up") this.#chart.send({ type: "Silent" });
  }

  #effects(): PeerEffects {
    const { clock, ask } = this.#ports;
    return {
      dial: () => this.#startDialling(),
      rest: () => this.#stopDialling(),
      probe: () => this.#probe(),
      ask: () => ask(this.node),
      closeLinks: () => this.#drop(),
      begin: () => {
        this.#waitingSinceMs = clock.nowMs();
      },
      announce: (state) => this.#announce(state),
      isLate: (ms) => clock.nowMs() - this.#waitingSinceMs > ms + LATE_MS,
    };
  }

  #announce(state: NodeState): void {
    if (state !== this.state) this.sinceMs = this.#ports.clock.nowMs();
    this.state = state;
    this.#ports.changed(this.node, state);
  }

  #closed(link: Link): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#ports.unlinked(this.node);
    this.#chart.send({ type: "LinkDown" });
  }

  #drop(): void {
    const link = this.#link;
    this.#link = undefined;
    if (!link) return;
    this.#ports.unlinked(this.node);
    link.close();
  }

  #probe(): void {
    const endpoint = this.where.proven;
    const attempt = async () => endpoint !== undefined && (await this.#ports.probe(endpoint));
    this.#kernel.ask(this.#ports.clock, attempt, (type) => this.#chart.send({ type }));
  }

  #startDialling(): void {
    this.#stopDialling();
    this.#pauseMs = DIAL_FIRST_MS;
    const dialling = new AbortController();
    this.#dialling = dialling;
    void this.#dial(dialling, 0);
  }

  #stopDialling(): void {
    this.#dialling?.abort();
    this.#dialling = undefined;
  }

  /** One address after the other, with growing pauses, until a link is there or it is told to stop. */
  async #dial(dialling: AbortController, turn: number): Promise<void> {
    if (dialling.signal.aborted) return;
    const endpoint = this.#fresh ?? this.where.at(turn);
    this.#fresh = undefined;
    if (endpoint && this.#ports.mayDial()) {
      try {
        this.join(await this.#attempt(endpoint, dialling.signal));
        return;
      } catch (error) {
        if (dialling.signal.aborted) return;
        if (error instanceof Problem) this.#noteFailure(error, endpoint);
        else crashOf(this.#ports.clock)(error);
      }
    }
    this.#pause(() => void this.#dial(dialling, turn + 1));
    const isLong = this.#ports.clock.nowMs() - this.sinceMs > LONG_MS;
    this.#pauseMs = Math.min(isLong ? DIAL_LONG_MS : DIAL_LAST_MS, this.#pauseMs * 2);
  }

  #noteFailure(error: Problem, endpoint: Endpoint): void {
    if (error.param === ANOTHER) {
      // Nothing is lost by a word that was false: neither the next turn nor a longer pause.
      this.where.forget(endpoint);
      this.#pauseMs = DIAL_FIRST_MS;
    }
    if (isRefusal(error) && this.where.wasMet(endpoint)) this.#chart.send({ type: "Refused" });
  }

  /** Not even a new address is dialled sooner than the first pause. */
  #pause(then: () => void): void {
    const { clock } = this.#ports;
    const startMs = clock.nowMs();
    const ms = this.#fresh ? DIAL_FIRST_MS : this.#pauseMs;
    let cancel = clock.after(ms, then);
    this.#hurry = () => {
      cancel();
      cancel = clock.after(Math.max(0, DIAL_FIRST_MS - (clock.nowMs() - startMs)), then);
      this.#hurry = () => {};
    };
  }

  /** One dial, given up when it takes too long: a system goes on for minutes where nobody answers. */
  async #attempt(endpoint: Endpoint, stop: AbortSignal): Promise<Link> {
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    stop.addEventListener("abort", abort, { once: true });
    this.#hurry = abort;
    const cancel = this.#ports.clock.after(ATTEMPT_MS, abort);
    try {
      const options = { expect: this.node, lane: "control", signal: attempt.signal } as const;
      return await this.#ports.network.dial(endpoint, options);
    } finally {
      cancel();
      this.#hurry = () => {};
      stop.removeEventListener("abort", abort);
    }
  }
}

/** The machine is there and says that nobody listens. */
const isRefusal = ({ cause }: Problem): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "ECONNREFUSED";
