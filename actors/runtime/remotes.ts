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

  constructor(ports: RemotesPorts) {
    this.#ports = ports;
  }

  get nodes(): readonly string[] {
    return [...this.#peers.keys()];
  }

  send(envelope: Envelope): boolean {
    return this.#peers.get(nodeOf(envelope.to))?.link.send(envelope) ?? false;
  }

  /** Replaces a link that was there; watches on that node are said to it again, as it may have forgotten them. */
  connect(node: string, link: Transport): void {
    this.#forgetWatches(node);
    this.#peers.set(node, { link, watches: new Map() });
    link.onReceive = (envelope) => this.#receive(node, envelope);
    const { watches } = this.#ports;
    for (const [id, actor] of watches.of((actor) => nodeOf(actor) === node)) this.watch(actor, id);
  }

  /** False when there was no link. */
  disconnect(node: string): boolean {
    const peer = this.#peers.get(node);
    this.#forgetWatches(node);
    this.#peers.delete(node);
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
  #receive(node: string, envelope: Envelope): void {
    const { node: self, deliver, dropped } = this.#ports;
    if (nodeOf(envelope.to) !== self || nodeOf(envelope.from) !== node) dropped(envelope);
    else if (envelope.to === `${self}/${SYSTEM}`)
      this.#control(node, envelope.message as RuntimeMessage, envelope);
    else deliver(envelope);
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
