/**
 * TLS 1.3 between machines that do not know each other yet. The certificate is made for one listener and proves nothing; what
 * makes such a channel trustworthy is a secret that both ends prove together with `binding`, which only the two ends of one
 * TLS connection share: somebody in the middle has two connections, with two bindings.
 */
import type { Socket, TCPSocketListener } from "bun";
import { ProtocolError } from "#protocol/message";
import { Problem } from "#protocol/problem";
import type { Clock } from "../clock.ts";
import { oneTimeCertificate } from "../security/certificate.ts";
import { freshIdentity } from "../security/identity.ts";
import type { Steps } from "../security/steps.ts";
import { type FrameKind, FrameReader, frame } from "./framing.ts";
import { HandshakeLimits } from "./handshake-limits.ts";
import type { Endpoint } from "./network.ts";

export interface StrangerChannel {
  readonly remote: Endpoint;
  /** 32 bytes that both ends of this connection share and nobody else has (RFC 8446, section 7.5). */
  readonly binding: Uint8Array;
  /** Longer frames close the channel; small until the other side has proved something. */
  frameBytesMax: number;
  /** The payload is valid until it returns. A throw closes the channel and is told by `onClose`. */
  onFrame: (kind: number, payload: Uint8Array) => void;
  /** Said once. */
  onClose: (why: string) => void;
  send(kind: FrameKind, payload: Uint8Array): void;
  /** What was sent before still goes out. */
  close(): void;
}

export interface StrangerListener {
  readonly port: number;
  close(): void;
}

/** Enough for the first exchange of a pairing, whose longest message has about 700 bytes. */
const FIRST_FRAMES_BYTES_MAX = 4096;
const HANDSHAKE_MS = 5000;
const TLS_1_3 = 0x0304;
const BINDING_BYTES = 32;
const BINDING_LABEL = "EXPORTER-exo-pairing-1";
/** The protocol's name and major version, as TLS negotiates it (RFC 7301): a length, then the name. */
const PROTOCOL = "exo-pairing/1";
const ALPN = new Uint8Array([PROTOCOL.length, ...new TextEncoder().encode(PROTOCOL)]).buffer;
const COMMON = { minVersion: TLS_1_3, maxVersion: TLS_1_3, ALPNProtocols: ALPN, rejectUnauthorized: false };

interface Start {
  readonly ready: (channel: Channel) => void;
  readonly failed: (why: string) => void;
  readonly cancel: () => void;
  channel?: Channel;
}

/**
 * Listens on every address of this machine at one free port: whoever opens this wants strangers. Throws Problem `unavailable`.
 * `opened` is called once TLS stands.
 */
export async function listenForStrangers(
  clock: Clock,
  opened: (channel: StrangerChannel) => void,
  steps?: Steps,
): Promise<StrangerListener> {
  const identity = freshIdentity();
  const cert = await oneTimeCertificate(identity, steps);
  const limits = new HandshakeLimits(clock);
  const open = new Set<TlsSocket>();
  const socket = handlers((ended) => open.delete(ended));
  const accept = (stranger: TlsSocket) => {
    const leave = limits.enter(stranger.remoteAddress, () => stranger.terminate());
    if (!leave) return void stranger.terminate();
    open.add(stranger);
    const cancel = clock.after(HANDSHAKE_MS, () => stranger.terminate());
    stranger.data = {
      ready(channel) {
        leave();
        opened(channel);
      },
      failed: leave,
      cancel,
    };
  };
  const listen = (hostname: string) =>
    Bun.listen<Start>({
      hostname,
      port: 0,
      tls: { key: identity.pem, cert, ...COMMON },
      socket: { ...socket, open: accept },
    });
  const listener = orIpv4(listen);
  return {
    port: listener.port,
    close() {
      listener.stop();
      for (const each of open) if (!each.data?.channel) each.terminate();
    },
  };
}

/** An IPv6 address may be used a second or two after the interface came up (RFC 4862, section 5.4); until then so often again. */
const [OWN_ADDRESS_MS, UNREADY_MS] = [3_000, 200];

/** Rejects with Problem `network`, also when the signal ends it. */
export function dialStranger(to: Endpoint, clock: Clock, signal: AbortSignal): Promise<StrangerChannel> {
  const { promise, resolve, reject } = Promise.withResolvers<StrangerChannel>();
  const where = to.host.includes(":") ? `[${to.host}]:${to.port}` : `${to.host}:${to.port}`;
  let socket: TlsSocket | undefined;
  let over = false;
  const readyMs = clock.nowMs() + OWN_ADDRESS_MS;
  const fail = (why: string) => {
    over = true;
    cancel();
    const remedy = "see that exo invite still waits there, and that this is an address which it shows";
    reject(new Problem("network", `${where} does not answer: ${why}`, { remedy }));
  };
  const end = () => {
    fail(signal.aborted ? "given up" : `no answer within ${HANDSHAKE_MS / 1000} s`);
    socket?.terminate();
  };
  const cancelTimer = clock.after(HANDSHAKE_MS, end);
  signal.addEventListener("abort", end, { once: true });
  const cancel = () => {
    cancelTimer();
    signal.removeEventListener("abort", end);
  };
  const connect = (): void =>
    void Bun.connect<Start>({
      hostname: to.host,
      port: to.port,
      data: { ready: resolve, failed: fail, cancel },
      tls: { ...COMMON, serverName: "pairing.exo" },
      socket: handlers(() => {}),
    }).then(
      (opened) => {
        socket = opened;
        // A machine that answers after all finds nobody waiting.
        if (over) opened.terminate();
      },
      (error: unknown) => {
        if (over) return;
        if (isUnready(error) && clock.nowMs() < readyMs) clock.after(UNREADY_MS, () => over || connect());
        else fail(error instanceof Error ? error.message : String(error));
      },
    );
  connect();
  return promise;
}

type TlsSocket = Socket<Start>;

function handlers(ended: (socket: TlsSocket) => void) {
  const over = (socket: TlsSocket, why: string) => {
    ended(socket);
    socket.data?.cancel();
    socket.data?.failed(why);
    socket.data?.channel?.closed(why);
  };
  return {
    handshake(socket: TlsSocket, ok: boolean, error: Error | null) {
      const { data } = socket;
      if (!(ok || isUnproven(error)) || socket.alpnProtocol !== PROTOCOL) return void socket.terminate();
      data.cancel();
      data.channel = new Channel(socket);
      data.ready(data.channel);
    },
    data(socket: TlsSocket, bytes: Uint8Array) {
      socket.data.channel?.received(bytes);
    },
    drain: (socket: TlsSocket) => socket.data?.channel?.flush(),
    close: (socket: TlsSocket) => over(socket, "the connection ended"),
    error: (socket: TlsSocket, error: Error) => over(socket, error.message),
  };
}

/** This machine has no address yet from which that one can be reached. */
const isUnready = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "EADDRNOTAVAIL";

/** The handshake is complete, and only that nobody vouches for the one-time certificate is held against it. */
const isUnproven = (error: Error | null): boolean =>
  error !== null &&
  "code" in error &&
  (error.code === "UNABLE_TO_VERIFY_LEAF_SIGNATURE" || error.code === "DEPTH_ZERO_SELF_SIGNED_CERT");

class Channel implements StrangerChannel {
  readonly remote: Endpoint;
  readonly binding: Uint8Array;
  onFrame: (kind: number, payload: Uint8Array) => void = () => {};
  onClose: (why: string) => void = () => {};
  readonly #socket: TlsSocket;
  readonly #reader = new FrameReader(FIRST_FRAMES_BYTES_MAX, (kind, bytes, from, to) =>
    this.onFrame(kind, bytes.subarray(from, to)),
  );
  #waiting: Uint8Array[] = [];
  #closing = false;
  #over = false;

  constructor(socket: TlsSocket) {
    this.#socket = socket;
    this.remote = { host: socket.remoteAddress.replace(/^::ffff:/, ""), port: socket.remotePort };
    const material: unknown = socket.exportKeyingMaterial(BINDING_BYTES, BINDING_LABEL);
    if (!(material instanceof Uint8Array)) throw new Error("TLS gave no exporter value"); // bun-types say void
    this.binding = material.slice();
  }

  get frameBytesMax(): number {
    return this.#reader.limit;
  }

  set frameBytesMax(bytes: number) {
    this.#reader.limit = bytes;
  }

  send(kind: FrameKind, payload: Uint8Array): void {
    if (this.#closing || this.#over) return;
    this.#waiting.push(frame(kind, payload));
    this.flush();
  }

  close(): void {
    this.#closing = true;
    this.flush();
  }

  flush(): void {
    while (!this.#over) {
      const [next] = this.#waiting;
      if (!next) break;
      const taken = this.#socket.write(next);
      if (taken < next.length) {
        this.#waiting[0] = next.subarray(Math.max(0, taken));
        return;
      }
      this.#waiting.shift();
    }
    if (this.#closing && !this.#over) this.#socket.end();
  }

  received(bytes: Uint8Array): void {
    if (this.#closing || this.#over) return;
    try {
      this.#reader.push(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.closed(error.message);
      this.#socket.terminate();
    }
  }

  closed(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#waiting = [];
    this.onClose(why);
  }
}

/** Both families where the machine has both. */
function orIpv4(listen: (hostname: string) => TCPSocketListener<Start>): TCPSocketListener<Start> {
  for (const hostname of ["::", "0.0.0.0"]) {
    try {
      return listen(hostname);
    } catch (error) {
      if (hostname === "::") continue; // Machines without IPv6 are common.
      const why = error instanceof Error ? error.message : String(error);
      throw new Problem("unavailable", `no port can be opened for a machine that joins: ${why}`);
    }
  }
  throw new Error("unreachable");
}
