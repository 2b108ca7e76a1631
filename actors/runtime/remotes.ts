/** The other nodes of an actor system: a link to each, and the watches that cross them. */
import type { Envelope } from "#protocol/codec";
import type { Address } from "#protocol/ids";
import type { AnyMessage } from "#protocol/message";
import { Runtime, type RuntimeMessage } from "#protocol/runtime";
import type { Transport } from "./transport/transport.ts";
import { type End, WATCHES_PER_PEER_MAX, type Watches } from "./watches.ts";

/** Reserved on every node: what the grounds of two nodes say to each other. */
export const SYSTEM = "system";
const WHY_MAX = 1024;
const ROUTES_MAX = 1024;

export const nodeOf = (address: string): string => address.slice(0, address.indexOf("/"));

interface Peer {
  readonly link: Transport;
  /** Their watches on actors of this node: their number, and how to take it back. */
  readonly watches: Map<number, () => void>;
}

export interface RemotesPorts {
  readonly node: string;
  readonly watches: Watches;
  /** Starts a watch on an actor of this node. */
  readonly watch: (actor: Address, told: (end: End) => void) => () => void;
  /** An envelope for an actor of this node. */
  readonly deliver: (envelope: Envelope) => void;
  /** One that came from who may not send it. */
  readonly dropped: (envelope: Envelope) => void;
}

export class Remotes {
  readonly #ports: RemotesPorts;
  readonly #peers = new Map<string, Peer>();
  /** Which peer an address belongs to: found out once, not for each message. */
  readonly #routes = new Map<Address, Peer>();
  readonly #own: string;

  constructor(ports: RemotesPorts) {
    this.#ports = ports;
    this.#own = `${ports.node}/`;
  }

  get nodes(): readonly string[] {
    return [...this.#peers.keys()];
  }

  send(envelope: Envelope): boolean {
    const known = this.#routes.get(envelope.to);
    if (known) return known.link.send(envelope);
    const peer = this.#peers.get(nodeOf(envelope.to));
    if (!peer) return false;
    if (this.#routes.size >= ROUTES_MAX) this.#routes.clear();
    this.#routes.set(envelope.to, peer);
    return peer.link.send(envelope);
  }

  /** Replaces a link that was there; watches on that node are said to it again, as it may have forgotten them. */
  connect(node: string, link: Transport): void {
    this.#forgetWatches(node);
    this.#peers.set(node, { link, watches: new Map() });
    this.#routes.clear();
    const theirs = `${node}/`;
    link.onReceive = (envelope) => this.#receive(node, theirs, envelope);
    const { watches } = this.#ports;
    for (const [id, actor] of watches.of((actor) => nodeOf(actor) === node)) this.watch(actor, id);
  }

  /** False when there was no link. */
  disconnect(node: string): boolean {
    const peer = this.#peers.get(node);
    this.#forgetWatches(node);
    this.#peers.delete(node);
    this.#routes.clear();
    peer?.link.close();
    return peer !== undefined;
  }

  /** Says to an actor's node that it is watched from here; false when it cannot be said. */
  watch(actor: Address, watch: number): boolean {
    return this.#tell(nodeOf(actor), Runtime.Watch({ actor, watch }));
  }

  unwatch(actor: Address, watch: number): void {
    this.#tell(nodeOf(actor), Runtime.Unwatch({ watch }));
  }

  #tell(node: string, message: AnyMessage): boolean {
    const from = `${this.#ports.node}/${SYSTEM}` as Address;
    return this.send({ to: `${node}/${SYSTEM}` as Address, from, message });
  }

  /** Only for actors of this node, and only in the name of actors of that one: no node relays, and none speaks for others (T27). */
  #receive(node: string, theirs: string, envelope: Envelope): void {
    const { to, from, message } = envelope;
    if (!to.startsWith(this.#own) || !from.startsWith(theirs)) this.#ports.dropped(envelope);
    else if (to.length === this.#own.length + SYSTEM.length && to.endsWith(SYSTEM))
      this.#control(node, message as RuntimeMessage, envelope);
    else this.#ports.deliver(envelope);
  }

  #control(node: string, message: RuntimeMessage, envelope: Envelope): void {
    switch (message.type) {
      case "Runtime.Watch":
        this.#watchFor(node, message.actor, message.watch);
        break;
      case "Runtime.Unwatch":
        this.#peers.get(node)?.watches.get(message.watch)?.();
        this.#peers.get(node)?.watches.delete(message.watch);
        break;
      case "Runtime.Down":
        if (nodeOf(message.actor) === node) this.#ports.watches.tell(message.watch, message.actor, message);
        break;
      default:
        this.#ports.dropped(envelope);
    }
  }

  #watchFor(node: string, actor: Address, watch: number): void {
    const peer = this.#peers.get(node);
    if (!peer || peer.watches.has(watch)) return;
    const down = ({ how, why }: End) => {
      peer.watches.delete(watch);
      this.#tell(node, Runtime.Down({ actor, watch, how, why: why.slice(0, WHY_MAX) }));
    };
    if (nodeOf(actor) !== this.#ports.node)
      down({ how: "lost", why: `${actor} is not of ${this.#ports.node}` });
    else if (peer.watches.size >= WATCHES_PER_PEER_MAX)
      down({ how: "lost", why: `${WATCHES_PER_PEER_MAX} watches are the most that one node may have here` });
    else peer.watches.set(watch, this.#ports.watch(actor, down));
  }

  #forgetWatches(node: string): void {
    for (const unwatch of this.#peers.get(node)?.watches.values() ?? []) unwatch();
    this.#peers.get(node)?.watches.clear();
  }
}
