/**
 * Links between nodes over TLS 1.3: both sides show a certificate of the cluster (checked by the library), and a key that is in
 * the member list (checked here). There is no plain mode. A link counts once the other side's hello has come: with TLS 1.3 a
 * client that will be refused believes itself connected at first.
 */
import type { Socket, TCPSocketListener } from "bun";
import { commonMinor, decodeHello, SPOKEN, type Spoken } from "#protocol/hello";
import type { NodeId } from "#protocol/ids";
import { ProtocolError } from "#protocol/message";
import { Problem } from "#protocol/problem";
import { keyOf, serverName } from "../security/certificate.ts";
import { nodeIdOf } from "../security/identity.ts";
import { CERTIFICATE, isTold, NEWS } from "./asking.ts";
import { giveBack } from "./bulk.ts";
import { type Connection, connectionOf, limit, type TlsOptions } from "./connection.ts";
import { endpointText as at } from "./endpoint.ts";
import { FrameKind } from "./framing.ts";
import { HandshakeLimits } from "./handshake-limits.ts";
import { lingering } from "./lingering.ts";
import { cannotListen, Listeners } from "./listeners.ts";
import { ANOTHER, type Endpoint, type Lane, type Link, type Network, type Peer } from "./network.ts";
import { heedNews, tellNews } from "./news.ts";
import * as REFUSAL from "./refusal.ts";
import { codeOf, reason } from "./thrown.ts";
import { helloFrame, StreamLink } from "./tls-link.ts";
import { KEEP_ALIVE_MS, PROTOCOL, tlsSettings } from "./tls-settings.ts";
import { zoned } from "./zone.ts";

type DialOptions = Parameters<Network["dial"]>[1];
type TlsSocket = Socket<Connection>;

export class TlsNetwork implements Network {
  onLink: (link: Link) => void = () => {};
  readonly #options: TlsOptions;
  readonly #listeners: Listeners<Connection>;
  readonly #limits: HandshakeLimits;
  readonly #spoken: Spoken;
  readonly #open = new Set<StreamLink>();

  /** Throws a Problem when an address cannot be listened on. */
  constructor(options: TlsOptions) {
    this.#options = options;
    this.#spoken = options.spoken ?? SPOKEN;
    this.#limits = new HandshakeLimits(options.clock);
    const { clock, refused } = options;
    const listen = (endpoint: Endpoint) => this.#listen(endpoint);
    this.#listeners = new Listeners({ clock, refused, listen }, options.listen);
  }

  get endpoints(): readonly Endpoint[] {
    return this.#listeners.endpoints;
  }

  async dial(to: Endpoint, options: { expect?: NodeId; lane: Lane; signal: AbortSignal }): Promise<Link> {
    try {
      return await this.#connect(to, options);
    } catch (error) {
      // With what it was just told it may be let in.
      const isNews = !options.signal.aborted && (await isTold(error, this.#options, to, options.expect));
      if (!isNews || options.signal.aborted) throw error;
      return await this.#connect(to, options);
    }
  }

  #connect(to: Endpoint, { expect, lane, signal }: DialOptions): Promise<Link> {
    const { promise, resolve, reject } = Promise.withResolvers<Link>();
    const connection = connectionOf({ dialled: true, to, lane, resolve, reject, ...(expect && { expect }) });
    const giveUp = (problem: Problem) => {
      connection.problem ??= problem;
      reject(problem);
    };
    const abort = () => giveUp(new Problem("cancelled", `dialling ${at(to)} was given up`));
    signal.addEventListener("abort", abort, { once: true });
    Bun.connect<Connection>({
      hostname: to.host,
      port: to.port,
      data: connection,
      tls: { ...this.#tls(), ...(expect && { serverName: serverName(expect) }) },
      socket: this.#handlers(),
    })
      .then(
        (socket) => this.#await(socket, connection),
        (cause) => giveUp(new Problem("network", `${at(to)} does not answer: ${reason(cause)}`, { cause })),
      )
      .finally(() => promise.finally(() => signal.removeEventListener("abort", abort)).catch(() => {}));
    return promise;
  }

  recheck(): void {
    for (const link of this.#open) if (!this.#options.trust.isMember(link.peer.node)) link.close();
  }

  renew(): void {
    this.#listeners.renew();
  }

  async close(): Promise<void> {
    this.#listeners.close();
    for (const link of this.#open) link.close();
  }

  #listen(endpoint: Endpoint): TCPSocketListener<Connection> {
    try {
      return Bun.listen<Connection>({
        hostname: endpoint.host,
        port: endpoint.port,
        // Bun's types give this to other sockets only.
        ...({ ipv6Only: endpoint.host.includes(":") } as object),
        tls: this.#tls(),
        socket: { ...this.#handlers(), open: (socket) => this.#accept(socket) },
      });
    } catch (error) {
      throw cannotListen(endpoint, error);
    }
  }

  #tls = () => tlsSettings(this.#options.identity, this.#options.trust);

  #accept(socket: TlsSocket): void {
    const tooMany = () => this.#refuse(socket, REFUSAL.CROWDED);
    const leave = this.#limits.enter(socket.remoteAddress, tooMany);
    if (!leave) {
      socket.terminate();
      return;
    }
    const connection = connectionOf({ dialled: false });
    socket.data = connection;
    this.#await(socket, connection);
    const settle = connection.settle;
    connection.settle = () => {
      settle();
      leave();
      connection.settle = () => {};
    };
  }

  /** Gives TLS and hello a deadline. */
  #await(socket: TlsSocket, connection: Connection): void {
    if (connection.problem) socket.terminate();
    if (connection.link || connection.problem) return;
    limit(connection, this.#options.clock, (why) => this.#refuse(socket, why));
  }

  #handlers() {
    return {
      handshake: (socket: TlsSocket, ok: boolean, error: Error | null) => {
        if (ok && !error && !socket.data?.problem) this.#greet(socket);
        else this.#refuse(socket, REFUSAL.unproved(error), codeOf(error) && CERTIFICATE);
      },
      data: (socket: TlsSocket, bytes: Uint8Array) => this.#receive(socket, bytes),
      drain: (socket: TlsSocket) => this.#drained(socket),
      close: (socket: TlsSocket) => this.#closed(socket, "closed"),
      error: (socket: TlsSocket, error: Error) => this.#failed(socket, error),
    };
  }

  /** A session of TLS that fails has a code; anything else is what one of these handlers has thrown, and no fault of the peer's. */
  #failed(socket: TlsSocket, error: Error): void {
    if (codeOf(error) === undefined) {
      this.#closed(socket, `exo itself failed while it served the link: ${error.message}`);
      socket.terminate();
      this.#options.crashed(error);
    } else this.#refuse(socket, REFUSAL.broken(error));
  }

  #greet(socket: TlsSocket): void {
    const [{ data }, { trust }, certificate] = [socket, this.#options, socket.getPeerX509Certificate()];
    const node = nodeIdOf(keyOf(certificate));
    if (socket.alpnProtocol !== PROTOCOL) this.#refuse(socket, REFUSAL.OTHER_MAJOR);
    else if (!trust.isMember(node)) this.#dismiss(socket, node, REFUSAL.stranger(node));
    else if (trust.isOutdated?.(certificate)) this.#dismiss(socket, node, REFUSAL.outdated(node));
    else if (data.expect && data.expect !== node)
      this.#refuse(socket, REFUSAL.moved(node, data.expect), ANOTHER);
    else {
      data.node = node;
      data.reader.onFrame = (kind, bytes, from, to) => {
        if (kind === FrameKind.notice) this.#noticed(socket, node, bytes.slice(from, to));
        else this.#hello(socket, kind, bytes.subarray(from, to));
      };
      const { boot, capabilities } = this.#options;
      // Who accepts answers with the lane that was asked for, once it knows.
      if (data.lane) socket.write(helloFrame({ ...this.#spoken, boot, capabilities, lane: data.lane }));
    }
  }

  /** No link, but who dialled learns why: the proof that it is a member no more, or its new papers. */
  #dismiss(socket: TlsSocket, node: NodeId, why: string): void {
    if (socket.data.dialled || !this.#options.trust.notice) this.#refuse(socket, why);
    else {
      this.#options.refused(socket.remoteAddress, why);
      this.#tell(socket, node);
    }
  }

  /** Either a question for news, or the answer. */
  #noticed(socket: TlsSocket, node: NodeId, payload: Uint8Array): void {
    const { trust, crashed } = this.#options;
    const end = (closing?: "closing") => this.#refuse(socket, REFUSAL.TOLD, NEWS, closing);
    if (socket.data.dialled) heedNews(socket, node, payload, { trust, crashed, end });
    else this.#tell(socket, node);
  }

  #tell(socket: TlsSocket, node: NodeId): void {
    const { trust, crashed } = this.#options;
    tellNews(socket, node, { trust, refuse: (why) => this.#refuse(socket, why) }).catch(crashed);
  }

  #drained(socket: TlsSocket): void {
    const { link, sayRest } = socket.data ?? {};
    if (sayRest) sayRest();
    else link?.drained();
  }

  #hello(socket: TlsSocket, kind: number, payload: Uint8Array): void {
    const { data } = socket;
    // A dial that was given up must not leave a link that only the other side knows.
    if (kind !== FrameKind.hello || !data.node || data.problem)
      throw new ProtocolError("the first frame must be hello");
    const hello = decodeHello(payload);
    const minor = commonMinor(hello, {
      ...this.#spoken,
      oldest: Math.max(this.#spoken.oldest, this.#options.trust.minimumMinor),
    });
    if (minor === undefined)
      throw new ProtocolError(
        `protocol 1.${hello.minor} is too far from 1.${this.#spoken.minor}: update exo there or here`,
      );
    if (data.lane && hello.lane !== data.lane) throw new ProtocolError("hello names another lane");
    const { boot, capabilities } = this.#options;
    if (!data.dialled) socket.write(helloFrame({ ...this.#spoken, boot, capabilities, lane: hello.lane }));
    this.#established(
      socket,
      { node: data.node, boot: hello.boot, minor, capabilities: hello.capabilities },
      hello.lane,
    );
  }

  #established(socket: TlsSocket, peer: Peer, lane: Lane): void {
    const { data } = socket;
    data.settle();
    const remote = { host: zoned(socket.remoteAddress, socket.localAddress), port: socket.remotePort };
    const self = this.#options.identity.node;
    const link = new StreamLink(
      { self, peer, lane, remote, local: socket.localAddress, dialled: data.dialled },
      lingering(socket, this.#options.clock),
    );
    data.link = link;
    link.readFrom(data.reader);
    socket.setNoDelay(true);
    if (lane !== "control") socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#open.add(link);
    if (data.dialled) data.resolve?.(link);
    else this.onLink(link);
  }

  #receive(socket: TlsSocket, bytes: Uint8Array): void {
    const { data } = socket;
    try {
      // Hello may come with frames behind it: what is left goes to the link's reader.
      data.reader.push(bytes);
      giveBack(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#refuse(socket, error.message);
    }
  }

  #refuse(socket: TlsSocket, why: string, param?: string, closing?: "closing"): void {
    const { data } = socket;
    const from = socket.remoteAddress ?? (data?.to ? at(data.to) : "a machine that is gone");
    if (data && !data.problem) {
      data.problem = new Problem("forbidden", `the connection with ${from} was refused: ${why}`, {
        ...(param && { param }),
      });
      this.#options.refused(from, why);
    }
    this.#closed(socket, why);
    if (closing) lingering(socket, this.#options.clock).end();
    else socket.terminate();
  }

  #closed(socket: TlsSocket, why: string): void {
    const { data } = socket;
    if (!data) return;
    data.settle();
    data.reject?.(
      data.problem ??
        new Problem("network", `${socket.remoteAddress ?? "the peer"} closed the connection before hello`),
    );
    if (!data.link) return;
    this.#open.delete(data.link);
    data.link.closed(data.problem?.message ?? why);
  }
}
