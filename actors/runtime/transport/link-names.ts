/** The two nodes of one link in the addresses of what it carries. */
import type { Envelope } from "#protocol/codec";
import { Discovery } from "#protocol/discovery";
import type { Address, NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";

export class LinkNames {
  readonly self: NodeId;
  /** What a heartbeat's frame stands for. */
  readonly beat: Envelope;
  readonly #ours: Side;
  readonly #theirs: Side;

  constructor(self: NodeId, peer: NodeId) {
    this.self = self;
    this.#ours = new Side(self);
    this.#theirs = new Side(peer);
    const actor = (node: NodeId) => `${node}/discovery` as Address;
    this.beat = { to: actor(self), from: actor(peer), message: Discovery.Beat({}) };
  }

  /** As it is sent: the link itself says which nodes speak, whose ids are half of a small message. */
  shortened({ to, from, id = 0, re = 0, message }: Envelope): Envelope {
    const short = this.#theirs.short(to);
    const sender = this.#ours.short(from);
    const whole = short === undefined || sender === undefined;
    return whole ? { to, from, id, re, message } : { to: short, from: sender, id, re, message };
  }

  /** One that was just decoded, with whole addresses: it is written into, as a copy costs more than all else here. Nobody speaks for others: throws ProtocolError where it names another node. */
  checked(envelope: Envelope): Envelope {
    const to = this.#ours.whole(envelope.to);
    const from = this.#theirs.whole(envelope.from);
    if (from === undefined)
      throw new ProtocolError(`${envelope.message.type} names another sender than the link's`);
    if (to === undefined) throw new ProtocolError(`${envelope.message.type} is addressed to another node`);
    const whole = envelope as { -readonly [K in keyof Envelope]: Envelope[K] };
    whole.to = to;
    whole.from = from;
    return whole;
  }
}

/** Addresses that are remembered of one node: few are in use, and to put one together costs as much as to read a message. */
const ADDRESSES_MAX = 256;
/** None of ours is longer. */
const REMEMBERED_MAX = 256;

/** The addresses of one node: whole, and from the stroke behind the node on. */
class Side {
  readonly #begin: string;
  readonly #wholes = new Map<Address, Address>();
  readonly #shorts = new Map<Address, Address>();

  constructor(node: NodeId) {
    this.#begin = `${node}/`;
  }

  /** Undefined for one of another node. */
  short(address: Address): Address | undefined {
    const known = this.#shorts.get(address);
    if (known !== undefined || !address.startsWith(this.#begin)) return known;
    return remembered(this.#shorts, address, address.slice(this.#begin.length - 1) as Address);
  }

  /** The same for one that is whole already; undefined for one of another node. */
  whole(address: Address): Address | undefined {
    const known = this.#wholes.get(address);
    if (known !== undefined) return known;
    if (address.startsWith(this.#begin)) return address;
    if (!address.startsWith("/")) return undefined;
    return remembered(this.#wholes, address, `${this.#begin}${address.slice(1)}` as Address);
  }
}

function remembered(known: Map<Address, Address>, address: Address, other: Address): Address {
  if (address.length > REMEMBERED_MAX) return other;
  if (known.size >= ADDRESSES_MAX) known.clear();
  known.set(address, other);
  return other;
}
