/** All members as this node sees them: heartbeats to each, and a verdict when theirs are missed. */
import type { Endpoint, Link } from "#actors/runtime/transport/network";
import { Discovery } from "#protocol/discovery";
import type { Address, NodeId } from "#protocol/ids";
import { BEAT_MS, Peer, type PeerPorts } from "./peer.ts";

/** A process that was itself late may not accuse others: its messages wait in its own queues. */
const LATE_MS = 150;
const DOUBT_MS = 400;
const DIALS_PER_SECOND = 5;

export interface PeersPorts extends Omit<PeerPorts, "mayDial" | "linked" | "unlinked"> {
  readonly linked: (node: NodeId, link: Link) => void;
  readonly unlinked: (node: NodeId) => void;
}

export class Peers {
  readonly #ports: PeersPorts;
  readonly #peers = new Map<NodeId, Peer>();
  readonly #links = new Map<NodeId, Link>();
  #dials: number[] = [];
  #beatMs: number;
  #doubtUntilMs = 0;
  #cancel = () => {};

  constructor(ports: PeersPorts) {
    this.#ports = ports;
    this.#beatMs = ports.clock.nowMs();
  }

  get all(): readonly Peer[] {
    return [...this.#peers.values()];
  }

  start(): void {
    this.#cancel = this.#ports.clock.after(BEAT_MS, () => this.#beat());
  }

  /** Tells members that this node leaves, so that nobody looks for it. */
  stop(): void {
    this.#cancel();
    for (const [node, link] of this.#links) link.send(this.#envelope(node, Discovery.Goodbye({})));
    for (const peer of this.all) peer.stop();
    this.#peers.clear();
  }

  /** Who belongs here besides this node: newcomers are dialled, others are dropped. */
  setMembers(nodes: readonly NodeId[]): void {
    for (const [node, peer] of this.#peers) {
      if (nodes.includes(node)) continue;
      peer.stop();
      this.#peers.delete(node);
    }
    for (const node of nodes) {
      if (this.#peers.has(node) || node === this.#ports.self) continue;
      const peer = new Peer(node, {
        ...this.#ports,
        mayDial: () => this.#mayDial(),
        linked: (id, link) => {
          this.#links.set(id, link);
          this.#ports.linked(id, link);
        },
        unlinked: (id) => {
          this.#links.delete(id);
          this.#ports.unlinked(id);
        },
      });
      this.#peers.set(node, peer);
      peer.start();
    }
  }

  learn(node: NodeId, endpoint: Endpoint): void {
    this.#peers.get(node)?.learn(endpoint);
  }

  /** A member opened a control link. */
  accept(link: Link): void {
    const peer = this.#peers.get(link.peer.node);
    if (peer) peer.join(link);
    else link.close();
  }

  heard(from: NodeId): void {
    this.#peers.get(from)?.heard();
  }

  goodbye(from: NodeId): void {
    this.#peers.get(from)?.goodbye();
  }

  #beat(): void {
    const { clock } = this.#ports;
    const nowMs = clock.nowMs();
    if (nowMs - this.#beatMs > BEAT_MS + LATE_MS) this.#doubtUntilMs = nowMs + DOUBT_MS;
    this.#beatMs = nowMs;
    for (const [node, link] of this.#links) link.send(this.#envelope(node, Discovery.Beat({})));
    if (nowMs >= this.#doubtUntilMs) for (const peer of this.all) peer.check();
    this.#cancel = clock.after(BEAT_MS, () => this.#beat());
  }

  #envelope(node: NodeId, message: ReturnType<typeof Discovery.Beat | typeof Discovery.Goodbye>) {
    const actor = (of: NodeId) => `${of}/discovery` as Address;
    return { to: actor(node), from: actor(this.#ports.self), message };
  }

  #mayDial(): boolean {
    const nowMs = this.#ports.clock.nowMs();
    this.#dials = this.#dials.filter((at) => nowMs - at < 1000);
    if (this.#dials.length >= DIALS_PER_SECOND) return false;
    this.#dials.push(nowMs);
    return true;
  }
}
