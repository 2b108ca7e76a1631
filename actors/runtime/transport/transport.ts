/** How envelopes reach another process or machine. Few members must be there, so that a test's own network stays small. */
import type { Envelope } from "#protocol/codec";

export interface Transport {
  /**
   * False when it cannot take more now or is closed; nothing was sent then. A body changes no more, unless it `isLent`: then the
   * caller's memory is its own again when this returns.
   */
  send(envelope: Envelope, isLent?: boolean): boolean;
  /** Set once, by the system that connects it. A body that `isLent` is valid until it returns. */
  onReceive: (envelope: Envelope, isLent?: boolean) => void;
  onClose: (reason: string) => void;
  /** Called when one that refused takes more again. */
  onDrain?: () => void;
  /** Reads no more until `resume`, so that who sends too fast is slowed down. */
  pause?(): void;
  resume?(): void;
  close(): void;
}
