/** Envelopes between a process and the child it started, as whole msgpack frames over Bun's process channel. */
import { decode, encode } from "#protocol/codec";
import type { Transport } from "./transport.ts";

/** The two calls a process channel has, on either side. */
export interface Channel {
  send(frame: Uint8Array): boolean;
  close(): void;
}

export interface ChildTransport extends Transport {
  /** A frame came in; throws ProtocolError when it is not one of ours. */
  arrived(frame: unknown): void;
  /** The other side is gone; said once. */
  closed(reason: string): void;
}

export function childTransport(channel: Channel): ChildTransport {
  let open = true;
  const transport: ChildTransport = {
    onReceive: () => {},
    onClose: () => {},
    send: (envelope) => open && channel.send(encode(envelope)),
    arrived(frame) {
      if (!(frame instanceof Uint8Array)) throw new TypeError("a frame must be bytes");
      transport.onReceive(decode(frame));
    },
    closed(reason) {
      if (!open) return;
      open = false;
      transport.onClose(reason);
    },
    close() {
      open = false;
      channel.close();
    },
  };
  return transport;
}
