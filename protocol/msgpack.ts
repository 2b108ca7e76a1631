/**
 * Reads one msgpack value (https://github.com/msgpack/msgpack/blob/master/spec.md) and nothing more than what messages are made of. It
 * checks while it reads, so that nothing is built for a header that claims more than the bytes hold, for nesting without end, or
 * for a number that is none (T29, T30); and it is four times as fast as the library that writes, which every ask pays twice.
 */
import { ProtocolError } from "./message.ts";

/** Deeper than any message of ours. */
export const DEPTH_MAX = 32;
/** Maps and lists of one value: each costs some 50 bytes once built, and one byte on the wire. */
const CONTAINERS_MAX = 1 << 20;

/**
 * Throws ProtocolError unless the bytes from `from` to `to` are exactly one value. Byte strings are copies, as `bytes` may be read into
 * again; extensions are refused.
 */
export const readMsgpack = (bytes: Uint8Array, from = 0, to = bytes.length): unknown =>
  reader.whole(bytes, from, to);

class Reader {
  #bytes: Uint8Array = new Uint8Array(0);
  /** Made for numbers of 8 bytes and floats alone: it costs more than most messages. */
  #dataView: DataView | undefined;
  /** Where the value ends. */
  #end = 0;
  #at = 0;
  /** Values still to come: each takes a byte at least. */
  #owed = 1;
  #containers = 0;

  whole(bytes: Uint8Array, from: number, to: number): unknown {
    this.#bytes = bytes;
    this.#dataView = undefined;
    this.#at = from;
    this.#end = to;
    this.#owed = 1;
    this.#containers = 0;
    const value = this.#value(0);
    if (this.#at !== this.#end) throw new ProtocolError("not msgpack: something follows its value");
    return value;
  }

  #value(depth: number): unknown {
    this.#owed -= 1;
    const tag = this.#bytes[this.#take(1)] ?? 0;
    if (tag <= 0x7f) return tag;
    if (tag >= 0xe0) return tag - 0x100;
    if (tag <= 0x8f) return this.#map(tag & 0x0f, depth);
    if (tag <= 0x9f) return this.#list(tag & 0x0f, depth);
    if (tag <= 0xbf) return this.#text(tag & 0x1f);
    return tag >= 0xd9 || tag <= 0xc6 ? this.#sized(tag, depth) : this.#number(tag);
  }

  /** Nil, booleans, and what has its length behind its tag. */
  #sized(tag: number, depth: number): unknown {
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#binary(this.#count(1));
      case 0xc5:
        return this.#binary(this.#count(2));
      case 0xc6:
        return this.#binary(this.#count(4));
      case 0xd9:
        return this.#text(this.#count(1));
      case 0xda:
        return this.#text(this.#count(2));
      case 0xdb:
        return this.#text(this.#count(4));
      case 0xdc:
        return this.#list(this.#count(2), depth);
      case 0xdd:
        return this.#list(this.#count(4), depth);
      case 0xde:
        return this.#map(this.#count(2), depth);
      case 0xdf:
        return this.#map(this.#count(4), depth);
      default:
        return this.#unused(tag);
    }
  }

  get #view(): DataView {
    const { buffer, byteOffset, byteLength } = this.#bytes;
    this.#dataView ??= new DataView(buffer, byteOffset, byteLength);
    return this.#dataView;
  }

  #number(tag: number): number {
    switch (tag) {
      case 0xca:
        return finite(this.#view.getFloat32(this.#take(4)));
      case 0xcb:
        return finite(this.#view.getFloat64(this.#take(8)));
      case 0xcc:
        return this.#count(1);
      case 0xcd:
        return this.#count(2);
      case 0xce:
        return this.#count(4);
      case 0xcf:
        return Number(this.#view.getBigUint64(this.#take(8)));
      case 0xd0:
        return (this.#count(1) << 24) >> 24;
      case 0xd1:
        return (this.#count(2) << 16) >> 16;
      case 0xd2:
        return this.#count(4) | 0;
      case 0xd3:
        return Number(this.#view.getBigInt64(this.#take(8)));
      default:
        return this.#unused(tag);
    }
  }

  #unused(tag: number): never {
    throw new ProtocolError(`msgpack tag ${tag} is not used`);
  }

  /** Where `count` bytes begin that are there. */
  #take(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) throw new ProtocolError("not msgpack: it ends before what it announces");
    this.#at = at + count;
    return at;
  }

  #count(size: 1 | 2 | 4): number {
    const at = this.#take(size);
    let value = 0;
    for (let i = 0; i < size; i++) value = (value << 8) | (this.#bytes[at + i] ?? 0);
    return value >>> 0;
  }

  #enter(values: number, depth: number): void {
    if (depth >= DEPTH_MAX) throw new ProtocolError(`nested deeper than ${DEPTH_MAX}`);
    this.#owed += values;
    if (this.#owed > this.#end - this.#at)
      throw new ProtocolError("not msgpack: it ends before what it announces");
    this.#containers += 1;
    if (this.#containers > CONTAINERS_MAX)
      throw new ProtocolError(`more than ${CONTAINERS_MAX} lists and maps in one message`);
  }

  #list(count: number, depth: number): unknown[] {
    this.#enter(count, depth);
    const made = new Array<unknown>(count);
    for (let i = 0; i < count; i++) made[i] = depth === 0 ? this.#named(1) : this.#value(1 + depth);
    return made;
  }

  #map(count: number, depth: number): Record<string, unknown> {
    this.#enter(2 * count, depth);
    const made: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = this.#key();
      made[key] = key === "type" ? this.#named(depth + 1) : this.#value(depth + 1);
    }
    return made;
  }

  #key(): string {
    const tag = this.#bytes[this.#at] ?? 0;
    if ((tag < 0xa0 || tag > 0xbf) && (tag < 0xd9 || tag > 0xdb))
      throw new ProtocolError("a map's keys must be text");
    const key = this.#named(0) as string;
    if (key === "__proto__") throw new ProtocolError("__proto__ is no field of a message");
    return key;
  }

  /** As `#value`, for what is often the same text: addresses, and the names of fields and messages. */
  #named(depth: number): unknown {
    const tag = this.#bytes[this.#at] ?? 0;
    const isShort = tag >= 0xa0 && tag <= 0xbf;
    const length = isShort ? tag & 0x1f : tag === 0xd9 ? (this.#bytes[this.#at + 1] ?? 0) : NAME_MAX + 1;
    if (length > NAME_MAX) return this.#value(depth);
    this.#owed -= 1;
    this.#take(isShort ? 1 : 2);
    return this.#name(length);
  }

  /** The same text object is given out for the same bytes, unless another has taken its place: its hash is known already. */
  #name(length: number): string {
    const at = this.#take(length);
    const bytes = this.#bytes;
    let hash = length;
    // Addresses of one node begin alike, fields of one message end alike.
    for (let i = 0; i < length && i < 4; i++) hash = (Math.imul(hash, 31) + (bytes[at + i] ?? 0)) | 0;
    for (let i = Math.max(4, length - 8); i < length; i++)
      hash = (Math.imul(hash, 31) + (bytes[at + i] ?? 0)) | 0;
    const place = hash & (NAMES - 1);
    const known = names[place];
    if (known && isSame(known.bytes, bytes, at, length)) return known.text;
    const text = utf8Slice.call(bytes, at, at + length);
    names[place] = { bytes: copied(bytes, at, length), text };
    return text;
  }

  #text(length: number): string {
    const at = this.#take(length);
    return utf8Slice.call(this.#bytes, at, at + length);
  }

  #binary(length: number): Uint8Array {
    return copied(this.#bytes, this.#take(length), length);
  }
}

/** One for all: a value is read in one go, and an object for each would cost as much as a short message. */
const reader = new Reader();

/** What sockets bring are Buffers, whose `slice` is no copy. */
const copied = (bytes: Uint8Array, at: number, length: number): Uint8Array =>
  new Uint8Array(bytes.subarray(at, at + length));

function finite(value: number): number {
  if (Number.isFinite(value)) return value;
  throw new ProtocolError(`${value} is no number that a message may carry`);
}

function isSame(known: Uint8Array, bytes: Uint8Array, at: number, length: number): boolean {
  if (known.length !== length) return false;
  for (let i = 0; i < length; i++) if (known[i] !== bytes[at + i]) return false;
  return true;
}

/** UTF-8 to text without a decoder object; what is no UTF-8 becomes U+FFFD, as with TextDecoder. */
const { utf8Slice } = Buffer.prototype as unknown as {
  utf8Slice(this: Uint8Array, start: number, end: number): string;
};

/** Names that are remembered, one for each place: a cache, so that it changes nothing but the time taken. */
const NAMES = 1024;
/** An address: a node's id and an actor's name. */
const NAME_MAX = 96;
const names = new Array<{ readonly bytes: Uint8Array; readonly text: string } | undefined>(NAMES).fill(
  undefined,
);
