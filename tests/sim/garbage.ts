/** What a member with a valid key may send all the same: noise, frames with other bits, and messages that are not for who gets them. */
import { FrameKind, frame } from "#actors/runtime/transport/framing";
import { decode, type Envelope, encode } from "#protocol/codec";
import type { Address, NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";

const NOISE_BYTES_MAX = 400;
const CHANGES: readonly string[] = ["Cluster.Propose", "Cluster.Change"];

/** What it said before: anything, and the last that has something of a user's in it. */
export interface Said {
  readonly any?: Envelope | undefined;
  readonly telling?: Envelope | undefined;
}

/** Bytes for the stream from one node to another. */
export function garbage(
  random: () => number,
  from: NodeId,
  to: NodeId,
  { any: said, telling }: Said,
): Uint8Array {
  const kind = Math.floor(random() * 4);
  if (kind === 0) return noise(random);
  if (kind === 1) return frame(FrameKind.envelope, noise(random));
  if (kind === 2 && said) return frame(FrameKind.envelope, mutated(random, encode(said)));
  const made = telling && random() < 0.3 ? strayed(telling, from, to) : stray(random, from, to);
  return frame(FrameKind.envelope, encode(made));
}

/** A right word to somebody whom it does not concern: it is refused, and nobody who reads of that is to know what it says. */
const strayed = ({ message }: Envelope, from: NodeId, to: NodeId): Envelope => ({
  to: `${to}/nobody` as Address,
  from: `${from}/cluster` as Address,
  message,
});

const noise = (random: () => number): Uint8Array =>
  Uint8Array.from({ length: 1 + Math.floor(random() * NOISE_BYTES_MAX) }, () => Math.floor(random() * 256));

/**
 * Other bits, yet never another word of the log's: Raft bears with losses, not with voters that lie. Nor a change that a member may ask for:
 * one with other bits in the name of a field takes back what a user set, as that user might.
 */
function mutated(random: () => number, bytes: Uint8Array): Uint8Array {
  const made = bytes.slice();
  for (let count = 1 + Math.floor(random() * 4); count > 0; count--)
    made[Math.floor(random() * made.length)] = Math.floor(random() * 256);
  return isToCount(made) ? made.subarray(0, made.length >> 1) : made;
}

function isToCount(bytes: Uint8Array): boolean {
  try {
    const { type } = decode(bytes).message;
    return type.startsWith("Raft.") || CHANGES.includes(type);
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

/** Whole messages that nobody may send: of a version to come, to actors of no business, in the name of others. */
function stray(random: () => number, from: NodeId, to: NodeId): Envelope {
  const one = <T>(...of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  return {
    to: `${one(to, to, from)}/${one("supervisor", "worker", "cluster", "discovery", "system", "nobody")}` as Address,
    from: `${one(from, from, to)}/${one("cluster", "discovery", "raft")}` as Address,
    ...(random() < 0.3 && { id: 1 + Math.floor(random() * 100) }),
    ...(random() < 0.3 && { re: 1 + Math.floor(random() * 100) }),
    message: one<Envelope["message"]>(
      { type: "Future.News" },
      { type: "Discovery.Goodbye" },
      { type: "Runtime.Down" },
      { type: "Discovery.List" },
      { type: "__proto__" },
    ),
  };
}
