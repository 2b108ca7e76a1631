/**
 * Other processes of an actor system: a link to each node, to each child and to a parent, and the watches that cross them. A child is
 * one actor for everybody but itself: `<this node>/<its name>` outside, `<its name>/<its one actor>` in its own process. What goes
 * between it and others passes through here, and nobody speaks for others on the way (T27).
 */
import type { Envelope } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { Runtime, type RuntimeMessage } from "#protocol/runtime";
import { Brakes } from "./brakes.ts";
import { Peer, type PeerOptions, withOwnBody } from "./peer.ts";
import type { Transport } from "./transport/transport.ts";
import { type End, WATCHES_PER_PEER_MAX, type Watches } from "./watches.ts";

/** Reserved on every node: what the grounds of two nodes say to each other. */
export const SYSTEM = "system";
const WHY_MAX = 1024;
const ROUTES_MAX = 1024;

export const nodeOf = (address: string): string => address.slice(0, address.indexOf("/"));

export interface RemotesPorts {
  readonly node: string;
  readonly watches: Watches;
  /** Starts a watch on an actor here, or on one of another node for a child. */
  readonly watch: (actor: Address, told: (end: End) => void) => () => void;
  /** An envelope for an actor of this node. */
  readonly deliver: (envelope: Envelope) => void;
  /** One that came from who may not send it, or cannot be handed on. */
  readonly dropped: (envelope: Envelope) => void;
}

export class Remotes {
  readonly #ports: RemotesPorts;
  readonly #peers = new Map<string, Peer>();
  readonly #children = new Map<Address, Peer>();
  /** The way to all whom there is no other way to. */
  #parent: Peer | undefined;
  /** Which peer an address belongs to: found out once, not for each message. */
  readonly #routes = new Map<Address, Peer>();
  readonly #brakes = new Brakes();
  readonly #own: string;
  readonly #system: Address;

  constructor(ports: RemotesPorts) {
    this.#ports = ports;
    this.#own = `${ports.node}/`;
    this.#system = `${ports.node}/${SYSTEM}` as Address;
  }

  get nodes(): readonly string[] {
    return [...this.#peers.keys()];
  }

  has(address: Address): boolean {
    return this.#children.has(address);
  }

  send(envelope: Envelope): boolean {
    return this.#route(envelope.to)?.send(envelope) ?? false;
  }

  /** Resolves when the way to an address, which refused, takes more; undefined without one. */
  room(to: Address): Promise<void> | undefined {
    return this.#route(to)?.room();
  }

  /** Replaces a link that was there; watches on that node are said to it again, as it may have forgotten them. */
  connect(node: string, link: Transport, bulk?: Transport): void {
    const before = this.#peers.get(node);
    const peer = this.#open({ role: "node", node, link, bulk });
    if (before) peer.follow(before);
    this.#peers.set(node, peer);
    for (const [id, actor] of this.#ports.watches.of((actor) => nodeOf(actor) === node))
      this.watch(actor, id);
  }

  /** False when there was no link. */
  disconnect(node: string): boolean {
    const peer = this.#peers.get(node);
    this.#peers.delete(node);
    this.#close(peer);
    return peer !== undefined;
  }

  /** A child whose one actor is `actor` there, from now on `<this node>/<name>` to everybody else. */
  adopt(name: string, actor: string, link: Transport): Address {
    const outside = `${this.#own}${name}` as Address;
    const names = { outside, inside: `${name}/${actor}` as Address };
    this.#children.set(outside, this.#open({ role: "child", node: name, link, names }));
    return outside;
  }

  disown(address: Address): void {
    const child = this.#children.get(address);
    this.#children.delete(address);
    this.#close(child);
  }

  connectParent(node: string, link: Transport): void {
    this.#parent = this.#open({ role: "parent", node, link });
  }

  /** Says to an actor's node that it is watched from here; false when it cannot be said. */
  watch(actor: Address, watch: number): boolean {
    return this.#tell(this.#route(actor), Runtime.Watch({ actor, watch }));
  }

  unwatch(actor: Address, watch: number): void {
    this.#tell(this.#route(actor), Runtime.Unwatch({ watch }));
  }

  #open(options: Omit<PeerOptions, "brakes" | "dropped">): Peer {
    const peer = new Peer({ ...options, brakes: this.#brakes, dropped: this.#ports.dropped });
    this.#routes.clear();
    for (const way of peer.ways)
      way.onReceive = (envelope, isLent = false) => this.#receive(peer, envelope, { isLent, way });
    if (options.bulk) options.bulk.onClose = (why) => this.#laneBroke(peer, why);
    return peer;
  }

  /** What its actors said over the lane may be lost: who watches them cannot rely on them any more. */
  #laneBroke(peer: Peer, why: string): void {
    const { watches } = this.#ports;
    const spoke = peer.laneBroke();
    for (const [id, actor] of watches.of((each) => spoke.has(each))) {
      this.unwatch(actor, id);
      watches.tell(id, actor, { how: "lost", why, lane: true });
    }
  }

  #close(peer: Peer | undefined): void {
    this.#routes.clear();
    peer?.end();
    for (const way of peer?.ways ?? []) way.close();
  }

  #route(to: Address): Peer | undefined {
    const known = this.#routes.get(to);
    if (known) return known;
    const peer = this.#children.get(to) ?? this.#peers.get(nodeOf(to)) ?? this.#parent;
    if (!peer) return undefined;
    if (this.#routes.size >= ROUTES_MAX) this.#routes.clear();
    this.#routes.set(to, peer);
    return peer;
  }

  #tell(peer: Peer | undefined, message: AnyMessage): boolean {
    return peer?.send({ to: `${peer.node}/${SYSTEM}` as Address, from: this.#system, message }) ?? false;
  }

  #receive(peer: Peer, envelope: Envelope, how: { readonly isLent: boolean; readonly way: Transport }): void {
    const { to, from } = envelope;
    if (to === this.#system) this.#control(peer, envelope);
    else if (!this.#mayCome(peer, from, to)) this.#ports.dropped(envelope);
    else {
      peer.heard(from, how.way);
      const named = peer.names ? { ...envelope, from: peer.names.outside } : envelope;
      this.#forward(named, this.#target(to), how);
    }
  }

  /** A node speaks for its actors, and to those of this one; a child only for itself; a parent hands on what it has checked. */
  #mayCome({ role, node, names }: Peer, from: Address, to: Address): boolean {
    if (role === "child") return from === names?.inside;
    return to.startsWith(this.#own) && (role === "parent" || isOf(from, node));
  }

  /** Undefined for an actor here. */
  #target(to: Address): Peer | undefined {
    return to.startsWith(this.#own) ? this.#children.get(to) : this.#route(to);
  }

  #forward(
    envelope: Envelope,
    target: Peer | undefined,
    { isLent, way }: { readonly isLent: boolean; readonly way: Transport },
  ): void {
    if (target?.relay(envelope, isLent, way)) return;
    this.#ports.deliver(isLent ? withOwnBody(envelope) : envelope);
  }

  #control(peer: Peer, envelope: Envelope): void {
    const message = envelope.message as RuntimeMessage;
    switch (message.type) {
      case "Runtime.Watch":
        this.#watchFor(peer, message.actor, message.watch);
        break;
      case "Runtime.Unwatch":
        peer.watches.get(message.watch)?.();
        peer.watches.delete(message.watch);
        break;
      case "Runtime.Down":
        this.#down(peer, message);
        break;
      default:
        this.#ports.dropped(envelope);
    }
  }

  #down(
    peer: Peer,
    { actor, watch, how, why, lane }: Extract<RuntimeMessage, { type: "Runtime.Down" }>,
  ): void {
    peer.gone(actor);
    // What becomes of a lane is known on this side of it.
    if (peer.role === "parent") this.#ports.watches.tell(watch, actor, { how, why, lane });
    else if (isOf(actor, peer.node)) this.#ports.watches.tell(watch, actor, { how, why });
  }

  #watchFor(peer: Peer, actor: Address, watch: number): void {
    if (peer.watches.has(watch)) return;
    const down = ({ how, why, lane }: End) => {
      peer.watches.delete(watch);
      const more = lane && { lane };
      this.#tell(peer, Runtime.Down({ actor, watch, how, why: why.slice(0, WHY_MAX), ...more }));
    };
    // A child may watch whomever this node may.
    if (peer.role !== "child" && !actor.startsWith(this.#own))
      down({ how: "lost", why: `${actor} is not of ${this.#ports.node}` });
    else if (peer.watches.size >= WATCHES_PER_PEER_MAX)
      down({ how: "lost", why: `${WATCHES_PER_PEER_MAX} watches are the most that one node may have here` });
    else peer.watches.set(watch, this.#ports.watch(actor, down));
  }
}

const isOf = (address: Address, node: string): boolean =>
  address.startsWith(node) && address[node.length] === "/";
