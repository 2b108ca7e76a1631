/** Writes one msgpack value (https://github.com/msgpack/msgpack/blob/master/spec.md), smallest form first; the counterpart of msgpack.ts. */
import { ProtocolError } from "./message.ts";
import { DEPTH_MAX } from "./msgpack.ts";

const START_BYTES = 4096;
/** What a buffer may keep between messages: one large message must not cost its size for ever. */
const KEPT_BYTES = 1024 * 1024;
/** Up to here text is cheaper letter by letter than by a call: addresses and names. */
const SHORT_TEXT = 96;

/** Bytes that grow: those before `end` are written. */
export interface Outbox {
  bytes: Uint8Array<ArrayBuffer>;
  end: number;
}

export class MsgpackWriter {
  readonly #limit: number;
  #own = new Uint8Array(START_BYTES);
  #bytes = this.#own;
  #at = 0;
  /** Where the value may end. */
  #end = 0;

  /** `limit`: the most bytes that one value may take. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * The value's bytes behind `room` free ones, in memory of their own. Undefined fields are left out, other views than of bytes become
   * bytes. Throws ProtocolError for what a message cannot carry: too long, too deep, functions, symbols, bigints, numbers that are not
   * finite, a field `__proto__`.
   */
  write(value: unknown, room = 0): Uint8Array<ArrayBuffer> {
    this.#begin(this.#own, room, this.#limit);
    this.#value(value, 0);
    this.#own = this.#bytes.length > KEPT_BYTES ? new Uint8Array(START_BYTES) : this.#bytes;
    return this.#bytes.slice(0, this.#at);
  }

  /** As `write`, behind what `out` holds already; a value that is refused leaves it as it was. */
  append(value: unknown, out: Outbox, room: number): void {
    this.#begin(out.bytes, out.end + room, out.end + this.#limit);
    this.#value(value, 0);
    out.bytes = this.#bytes;
    out.end = this.#at;
  }

  #begin(bytes: Uint8Array<ArrayBuffer>, at: number, end: number): void {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  #value(value: unknown, depth: number): void {
    if (depth > DEPTH_MAX) throw new ProtocolError(`nested deeper than ${DEPTH_MAX}`);
    if (typeof value === "string") this.#text(value);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "boolean") this.#byte(value ? 0xc3 : 0xc2);
    else if (value === undefined || value === null) this.#byte(0xc0);
    else if (typeof value === "object") this.#object(value, depth);
    else throw new ProtocolError(`a ${typeof value} cannot be sent`);
  }

  #object(value: object, depth: number): void {
    if (Array.isArray(value)) {
      this.#head(value.length, 0x90, 15, 0xdc);
      for (const item of value) this.#value(item, depth + 1);
    } else if (ArrayBuffer.isView(value)) this.#binary(value);
    else this.#map(value as Readonly<Record<string, unknown>>, depth);
  }

  #map(value: Readonly<Record<string, unknown>>, depth: number): void {
    const keys = Object.keys(value);
    let count = 0;
    for (const key of keys) if (value[key] !== undefined) count += 1;
    this.#head(count, 0x80, 15, 0xde);
    for (const key of keys) {
      const field = value[key];
      if (field === undefined) continue;
      if (key === "__proto__") throw new ProtocolError("__proto__ is no field of a message");
      this.#text(key);
      this.#value(field, depth + 1);
    }
  }

  #text(value: string): void {
    if (value.length <= SHORT_TEXT && this.#shortText(value)) return;
    const bytes = Buffer.byteLength(value);
    if (bytes > 31 && bytes < 256) this.#pair(0xd9, bytes);
    else this.#head(bytes, 0xa0, 31, 0xda);
    this.#reserve(bytes);
    utf8Write.call(this.#bytes, value, this.#at, bytes);
    this.#at += bytes;
  }

  /** False for text that is not ASCII: nothing is written then. */
  #shortText(value: string): boolean {
    const { length } = value;
    this.#reserve(length + 2);
    const bytes = this.#bytes;
    const at = this.#at + (length <= 31 ? 1 : 2);
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      bytes[at + i] = code;
    }
    if (length <= 31) bytes[at - 1] = 0xa0 | length;
    else {
      bytes[at - 2] = 0xd9;
      bytes[at - 1] = length;
    }
    this.#at = at + length;
    return true;
  }

  #binary(view: ArrayBufferView): void {
    const bytes =
      view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    if (bytes.length < 256) this.#pair(0xc4, bytes.length);
    else this.#wide(bytes.length, 0xc5);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value)) this.#float(value);
    else if (value >= 0) this.#whole(value);
    else if (value >= -32) this.#byte(value + 0x100);
    else this.#negative(value);
  }

  #whole(value: number): void {
    if (value < 0x80) this.#byte(value);
    else if (value < 0x100) this.#pair(0xcc, value);
    else if (value < 0x10000) this.#integer(0xcd, 2, value);
    else if (value < 0x100000000) this.#integer(0xce, 4, value);
    else this.#large(0xcf, value);
  }

  #negative(value: number): void {
    if (value >= -0x80) this.#pair(0xd0, value + 0x100);
    else if (value >= -0x8000) this.#integer(0xd1, 2, value + 0x10000);
    else if (value >= -0x80000000) this.#integer(0xd2, 4, value + 0x100000000);
    else this.#large(0xd3, value);
  }

  #large(tag: number, value: number): void {
    this.#byte(tag);
    this.#reserve(8);
    viewOf(this.#bytes).setBigInt64(this.#at, BigInt(value));
    this.#at += 8;
  }

  #float(value: number): void {
    if (!Number.isFinite(value)) throw new ProtocolError(`${value} is no number that a message may carry`);
    this.#byte(0xcb);
    this.#reserve(8);
    viewOf(this.#bytes).setFloat64(this.#at, value);
    this.#at += 8;
  }

  /** A length that fits its tag's bits, or one behind a tag for two bytes, or behind the next tag for four. */
  #head(length: number, tag: number, bits: number, wideTag: number): void {
    if (length <= bits) this.#byte(tag | length);
    else this.#wide(length, wideTag);
  }

  #wide(length: number, tag: number): void {
    if (length < 0x10000) this.#integer(tag, 2, length);
    else this.#integer(tag + 1, 4, length);
  }

  #integer(tag: number, bytes: 2 | 4, value: number): void {
    this.#reserve(5);
    const at = this.#at;
    this.#bytes[at] = tag;
    for (let i = bytes; i > 0; i--) this.#bytes[at + i] = value >>> (8 * (bytes - i));
    this.#at = at + bytes + 1;
  }

  #pair(tag: number, value: number): void {
    this.#reserve(2);
    this.#bytes[this.#at] = tag;
    this.#bytes[this.#at + 1] = value;
    this.#at += 2;
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at] = value;
    this.#at += 1;
  }

  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#bytes.length) return;
    if (needed > this.#end)
      throw new ProtocolError(`${needed - this.#end + this.#limit} bytes is over the frame limit`);
    const grown = new Uint8Array(Math.min(this.#end, Math.max(needed, 2 * this.#bytes.length)));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  new DataView(buffer, byteOffset, byteLength);

/** Text to UTF-8 without an encoder object; lone surrogates become U+FFFD, as with TextEncoder. */
const { utf8Write } = Buffer.prototype as unknown as {
  utf8Write(this: Uint8Array, text: string, at: number, bytes: number): number;
};
