/** How envelopes reach another process or machine. Five members, so that a test's own network stays small. */
import type { Envelope } from "#protocol/codec";

export interface Transport {
  /** False when it cannot take more now or is closed; nothing was sent then. */
  send(envelope: Envelope): boolean;
  /** Set once, by the system that connects it. */
  onReceive: (envelope: Envelope) => void;
  onClose: (reason: string) => void;
  close(): void;
}
