/** What makes long bodies over Bun's TLS sockets cheap: the sizes of writes, and the memory of what came. */

interface Writable {
  /** Bytes that were taken, none or less where it is blocked or closed. */
  write(bytes: Uint8Array, from: number, length: number): number;
}

const RECORD_BYTES = 16 * 1024;
/**
 * One write: whole TLS records, and with what these add less than the 64 KiB that a system sends in one piece. Of a longer write the end
 * is a small piece of its own, for which a system that paces its streams (BBR) sets a timer of its own: a third of the sender's time.
 */
const WRITE_BYTES = 3 * RECORD_BYTES;

/** Writes as much as the socket takes, in pieces; how much that is. */
export function writeInPieces(socket: Writable, bytes: Uint8Array, from: number, length: number): number {
  for (let taken = 0; taken < length; ) {
    const count = Math.min(WRITE_BYTES, length - taken);
    const more = Math.max(0, socket.write(bytes, from + taken, count));
    taken += more;
    if (more < count) return taken;
  }
  return length;
}

/**
 * Ends the memory of bytes that were read, so that the next ones come into it: each is new memory, of which a garbage collector learns
 * late, and fresh pages cost more than what is copied into them. For few bytes the call costs more. No view of them is of use after.
 */
export function giveBack(bytes: Uint8Array): void {
  // Asking for the buffer is what costs with few.
  if (bytes.length < RECORD_BYTES) return;
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length) buffer.transfer(0);
}
