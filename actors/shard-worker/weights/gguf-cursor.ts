/** Reads a GGUF header front to back. Every length is checked against what is left of the file before it is believed. */
import { Problem } from "#protocol/problem";
import { type FileBytes, truncated } from "./file-bytes.ts";

/** Bytes fetched from the file at a time; headers with a large vocabulary take several megabytes. */
const WINDOW_BYTES = 1 << 20;
/** Longest string believed: chat templates are some tens of kilobytes. */
const MOST_STRING_BYTES = 1 << 24;

/** Most entries of a list believed: vocabularies and their merges have some hundred thousand. */
const MOST_ENTRIES = 1 << 24;

const decoder = new TextDecoder();

export class GgufCursor {
  readonly file: FileBytes;
  private window: Uint8Array = new Uint8Array(0);
  private view = new DataView(this.window.buffer);
  private windowStart = 0;
  private at = 0;
  /** What is being read, for the message if the file ends. */
  private what = "its header";

  constructor(file: FileBytes) {
    this.file = file;
  }

  /** Byte of the file that is read next. */
  get position(): number {
    return this.windowStart + this.at;
  }
  get left(): number {
    return this.file.size - this.position;
  }
  /** Names what is read from here on. */
  reading(what: string): this {
    this.what = what;
    return this;
  }

  broken(why: string): Problem {
    return new Problem(
      "invalid",
      `${this.file.path} is not a sound GGUF file: ${why} (byte ${this.position}, in ${this.what})`,
      {
        remedy: "fetch the file again; if it stays, the file was written wrongly",
      },
    );
  }

  u8 = (): number => this.view.getUint8(this.take(1));
  i8 = (): number => this.view.getInt8(this.take(1));
  u16 = (): number => this.view.getUint16(this.take(2), true);
  i16 = (): number => this.view.getInt16(this.take(2), true);
  u32 = (): number => this.view.getUint32(this.take(4), true);
  i32 = (): number => this.view.getInt32(this.take(4), true);
  f32 = (): number => this.view.getFloat32(this.take(4), true);
  u64 = (): number => Number(this.view.getBigUint64(this.take(8), true));
  i64 = (): number => Number(this.view.getBigInt64(this.take(8), true));
  f64 = (): number => this.view.getFloat64(this.take(8), true);

  string(most = MOST_STRING_BYTES): string {
    const length = this.u64();
    if (length > this.left)
      throw truncated(this.file.path, this.file.size, `${this.what}: a string of ${length} bytes`);
    if (length > most) throw this.broken(`a string of ${length} bytes, at most ${most} are allowed`);
    const start = this.take(length);
    return decoder.decode(this.window.subarray(start, start + length));
  }

  /** A count of things that take at least `least` bytes each. */
  count(least: number): number {
    const count = this.u64();
    if (count > this.left / least) {
      throw truncated(
        this.file.path,
        this.file.size,
        `${this.what}: ${count} entries of at least ${least} bytes`,
      );
    }
    if (count > MOST_ENTRIES) throw this.broken(`${count} entries, at most ${MOST_ENTRIES} are allowed`);
    return count;
  }

  /** A copy of the next `length` bytes. */
  bytes(length: number): Uint8Array {
    const start = this.take(length);
    return this.window.slice(start, start + length);
  }

  /** Where in the window the next `length` bytes are. */
  private take(length: number): number {
    if (this.at + length > this.window.length) this.refill(length);
    const start = this.at;
    this.at += length;
    return start;
  }

  private refill(length: number): void {
    if (length > this.left) throw truncated(this.file.path, this.file.size, this.what);
    this.windowStart = this.position;
    this.at = 0;
    this.window = this.file.read(
      this.windowStart,
      Math.min(this.left, Math.max(length, WINDOW_BYTES)),
      this.what,
    );
    this.view = new DataView(this.window.buffer);
  }
}
