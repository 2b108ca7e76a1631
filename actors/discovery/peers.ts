/** All members as this node sees them: heartbeats to each, and a verdict when theirs are missed. */
import { endpointText } from "#actors/runtime/transport/endpoint";
import type { Endpoint, Link } from "#actors/runtime/transport/network";
import { Discovery, type DiscoveryMessage } from "#protocol/discovery";
import type { Address, NodeId } from "#protocol/ids";
import { BEAT_MS, LATE_MS, Peer } from "./peer.ts";
import type { Watch, WatchPorts } from "./ports.ts";
import { TWINS_MS } from "./twins.ts";

const DOUBT_MS = 400;
const DIALS_PER_SECOND = 5;
/** Below a heartbeat's interval, so that somebody who falls silent after his last word is not missed by that. */
const SPOKEN_MS = 200;
/** Whoever was told something so long ago is told the next soon: the leader's own round has the same interval. */
const SPEAKS_MS = 290;
const SPEAKS_SOON_MS = 60;
/** This node's round follows the first word that it hears once it is so old: all its work for others is done in one waking. */
const ROUND_MIN_MS = 200;
const AFTER_WORD_MS = 1;
/** Where nobody speaks first. Longer than the interval of those that do, or both would wake it. */
const ROUND_MAX_MS = BEAT_MS + 30;
/** Two heartbeats: who is dead was not heard for longer by the time that anybody asks. */
const FRESH_MS = 500;
/** The ways that worked last are worth passing on. */
const HINTS_MAX = 3;

const addressOf = (node: NodeId) => `${node}/discovery` as Address;
const BEAT = Discovery.Beat({});
const hintsOf = ({ endpoints }: Peer): string[] => endpoints.slice(0, HINTS_MAX).map(endpointText);

type PeersPorts = Omit<WatchPorts, "keys">;
type PeersMessage = Exclude<DiscoveryMessage, { type: "Discovery.List" }>;

export class Peers implements Watch {
  readonly #ports: PeersPorts;
  readonly #peers = new Map<NodeId, Peer>();
  readonly #links = new Map<NodeId, Link>();
  readonly #address: Address;
  /** Where each was when the others were told last. */
  readonly #passedOn = new Map<NodeId, string>();
  #dials: number[] = [];
  /** When each was sent a heartbeat last. */
  readonly #beatsMs = new WeakMap<Link, number>();
  #beatMs: number;
  /** When the next round is due; a later one means that this process was late. */
  #dueMs: number;
  #isNear = false;
  #copiedMs = Number.NEGATIVE_INFINITY;
  #doubtUntilMs = 0;
  #cancel = () => {};

  constructor(ports: PeersPorts) {
    this.#ports = ports;
    this.#address = addressOf(ports.self);
    this.#beatMs = ports.clock.nowMs();
    this.#dueMs = this.#beatMs + ROUND_MAX_MS;
  }

  get all(): readonly Peer[] {
    return [...this.#peers.values()];
  }

  start(): void {
    this.#after(ROUND_MAX_MS);
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
      this.#passedOn.delete(node);
    }
    for (const node of nodes) {
      if (this.#peers.has(node) || node === this.#ports.self) continue;
      const peer = new Peer(node, {
        ...this.#ports,
        mayDial: () => this.#mayDial(),
        tellCopied: (id, link) => void link.send(this.#envelope(id, Discovery.Copied({}))),
        ask: (missed) => this.#ask(missed),
        linked: (id, link) => {
          this.#links.set(id, link);
          this.#ports.linked(id, link);
          this.#greet(id, link);
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

  has(node: NodeId): boolean {
    return this.#peers.has(node);
  }

  /** Which start of that member this node is linked with now. */
  linkedBoot(node: NodeId): string | undefined {
    return this.#links.get(node)?.peer.boot;
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
    if (this.#isNear || this.#ports.clock.nowMs() - this.#beatMs < ROUND_MIN_MS) return;
    this.#isNear = true;
    this.#cancel();
    this.#cancel = this.#ports.clock.after(AFTER_WORD_MS, () => this.#beat());
  }

  goodbye(from: NodeId): void {
    this.#peers.get(from)?.goodbye();
  }

  /** A member says that two machines run with this one's identity, and takes no link from either. */
  toldCopied(from: NodeId): void {
    this.#copiedMs = this.#ports.clock.nowMs();
    this.#peers.get(from)?.turnedAway();
  }

  /** Whether a member said so lately. */
  get isCopied(): boolean {
    return this.#ports.clock.nowMs() - this.#copiedMs < TWINS_MS;
  }

  /** Another member misses `about`: it is told when this node is linked with it and does not. */
  missed(from: NodeId, about: NodeId): void {
    const link = this.#links.get(from);
    const silenceMs = this.#peers.get(about)?.silenceMs ?? Number.POSITIVE_INFINITY;
    if (link && this.#links.has(about) && silenceMs < FRESH_MS)
      link.send(this.#envelope(from, Discovery.Heard({ node: about })));
  }

  heardElsewhere(about: NodeId): void {
    this.#peers.get(about)?.heardElsewhere();
  }

  #ask(missed: NodeId): void {
    for (const [node, link] of this.#links)
      if (node !== missed) link.send(this.#envelope(node, Discovery.Missed({ node: missed })));
  }

  /** A member said where it listens; the way by which it is linked now comes first. */
  located(from: NodeId, endpoints: readonly Endpoint[]): void {
    const peer = this.#peers.get(from);
    if (!peer) return;
    for (const endpoint of endpoints.toReversed()) peer.learn(endpoint);
    const [host, port] = [this.#links.get(from)?.remote.host, endpoints[0]?.port];
    if (host !== undefined && port !== undefined) peer.where.met({ host, port });
    this.#ports.located(from, peer.endpoints);
    // Whoever is linked was told the rest with its link, or by what `#greet` forgets: in a home of twenty, one that links again would else be told of 400 times.
    const hints = hintsOf(peer);
    if (this.#passedOn.get(from) === hints.join()) return;
    this.#passedOn.set(from, hints.join());
    for (const [node, link] of this.#links) if (node !== from) this.#pass(peer, node, link);
  }

  /** Another member says where this one may be reached. */
  hinted(about: NodeId, endpoints: readonly Endpoint[]): void {
    const peer = this.#peers.get(about);
    for (const endpoint of endpoints) peer?.where.hint(endpoint);
  }

  /** Tells one member where another is reached from here. */
  #pass(peer: Peer, to: NodeId, link: Link): void {
    link.send(this.#envelope(to, Discovery.Known({ node: peer.node, endpoints: hintsOf(peer) })));
  }

  #greet(node: NodeId, link: Link): void {
    link.send(this.#envelope(node, Discovery.Here({ endpoints: [...this.#ports.here()] })));
    for (const other of this.#links.keys()) {
      const peer = other === node ? undefined : this.#peers.get(other);
      if (peer) this.#pass(peer, node, link);
    }
    // This one is not told of who is away now: all are, once that is back.
    for (const away of this.#passedOn.keys())
      if (away !== node && !this.#links.has(away)) this.#passedOn.delete(away);
  }

  #beat(): void {
    const nowMs = this.#ports.clock.nowMs();
    if (nowMs - this.#dueMs > LATE_MS) this.#doubtUntilMs = nowMs + DOUBT_MS;
    this.#beatMs = nowMs;
    let speaksSoon = false;
    for (const [node, link] of this.#links) {
      const [saidMs, beatMs] = [
        this.#ports.saidMs(node),
        this.#beatsMs.get(link) ?? Number.NEGATIVE_INFINITY,
      ];
      const silentMs = nowMs - Math.max(saidMs, beatMs);
      if (silentMs <= SPOKEN_MS) continue;
      if (saidMs > beatMs && silentMs < SPEAKS_MS) speaksSoon = true;
      else this.#beatTo(node, link, nowMs);
    }
    if (nowMs >= this.#doubtUntilMs) for (const peer of this.all) peer.check();
    this.#after(speaksSoon ? SPEAKS_SOON_MS : ROUND_MAX_MS);
  }

  #beatTo(node: NodeId, link: Link, nowMs: number): void {
    this.#beatsMs.set(link, nowMs);
    link.send(this.#envelope(node, BEAT));
  }

  #after(ms: number): void {
    const { clock } = this.#ports;
    this.#isNear = false;
    this.#dueMs = clock.nowMs() + ms;
    this.#cancel = clock.after(ms, () => this.#beat());
  }

  #envelope(node: NodeId, message: PeersMessage) {
    return { to: addressOf(node), from: this.#address, message };
  }

  #mayDial(): boolean {
    const nowMs = this.#ports.clock.nowMs();
    this.#dials = this.#dials.filter((at) => nowMs - at < 1000);
    if (this.#dials.length >= DIALS_PER_SECOND) return false;
    this.#dials.push(nowMs);
    return true;
  }
}
