/** The two nodes of one link in the addresses of what it carries. */
import type { Envelope } from "#protocol/codec";
import { Discovery } from "#protocol/discovery";
import type { Address, NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";

export class LinkNames {
  readonly self: NodeId;
  /** What a heartbeat's frame stands for. */
  readonly beat: Envelope;
  readonly #peer: NodeId;

  constructor(self: NodeId, peer: NodeId) {
    this.self = self;
    this.#peer = peer;
    const actor = (node: NodeId) => `${node}/discovery` as Address;
    this.beat = { to: actor(self), from: actor(peer), message: Discovery.Beat({}) };
  }

  /** As it is sent: the link itself says which nodes speak, whose ids are half of a small message. */
  shortened(envelope: Envelope): Envelope {
    const [to, from] = [after(this.#peer, envelope.to), after(this.self, envelope.from)];
    return to === undefined || from === undefined ? envelope : { ...envelope, to, from };
  }

  /** As it came, with whole addresses. Nobody speaks for others: throws ProtocolError where it names another node. */
  checked({ to, from, ...envelope }: Envelope): Envelope {
    const [whole, sender] = [begun(this.self, to), begun(this.#peer, from)];
    if (after(this.#peer, sender) === undefined)
      throw new ProtocolError(`${envelope.message.type} names another sender than the link's`);
    if (after(this.self, whole) === undefined)
      throw new ProtocolError(`${envelope.message.type} is addressed to another node`);
    return { ...envelope, to: whole, from: sender };
  }
}

/** What follows the node in an address, from its stroke on. */
const after = (node: NodeId, address: Address): Address | undefined =>
  address.startsWith(node) && address[node.length] === "/"
    ? (address.slice(node.length) as Address)
    : undefined;

const begun = (node: NodeId, address: Address): Address =>
  address.startsWith("/") ? (`${node}${address}` as Address) : address;
