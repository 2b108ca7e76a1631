/** A socket as a link may have it: one that is closed here ends soon, whatever the other side does. */
import type { Clock } from "../clock.ts";
import { writeInPieces } from "./bulk.ts";
import type { ByteStream } from "./outgoing.ts";

/** What was said last is on its way within it; a peer that takes nothing any more, or keeps its side open, is not waited for. */
const LINGER_MS = 500;

interface Closable extends Omit<ByteStream, "end"> {
  shutdown(): void;
  terminate(): void;
}

export const lingering = (socket: Closable, clock: Clock): ByteStream => ({
  write: (bytes, from, length) => writeInPieces(socket, bytes, from, length),
  end() {
    // Not Bun's `end`: after it, with bytes that still wait, `terminate` does nothing.
    socket.shutdown();
    clock.after(LINGER_MS, () => socket.terminate());
  },
  pause: () => socket.pause(),
  resume: () => socket.resume(),
});
