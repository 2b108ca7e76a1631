/**
 * Datagrams on every interface of this machine: directed broadcast and multicast, IPv4 and IPv6, on one port that all nodes
 * share. Interfaces that come and go are followed by `refresh`. dgram-as-promised binds, sends and closes; packets are taken
 * from its socket's events, because its own `recv` loses what comes between two calls (seen with version 6.0.0).
 */
import { DgramAsPromised } from "dgram-as-promised";
import type { Clock } from "#actors/runtime/clock";
import type { Endpoint } from "#actors/runtime/transport/network";
import { Problem } from "#protocol/problem";
import { DATAGRAM_BYTES_MAX } from "./datagram.ts";
import type { LocalAddress } from "./ports.ts";

/** How a node speaks to everybody near, and to one. */
export interface Datagrams {
  /** Once on every interface. */
  shout(bytes: Uint8Array): void;
  send(bytes: Uint8Array, to: Endpoint): void;
  onReceive: (bytes: Uint8Array, from: Endpoint) => void;
  close(): Promise<void>;
}

/** Organisation-local groups of our own choice (RFC 2365; RFC 4291 section 2.7, link-local scope). */
const GROUP_4 = "239.255.101.120";
const GROUP_6 = "ff02::6578:6f";
const REFRESH_MS = 5000;
/** A machine that has just started may still get its addresses: a link-local one of IPv6 is not usable for its first second or two (RFC 4862). */
const REFRESH_EARLY_MS = 1000;
const EARLY_LOOKS = 10;
/**
 * A flood beyond this goes unread for the rest of its second, at the price that shouts of others do as well: looking at each would
 * cost more of this machine than it costs the sender. All shouts of the largest home together are a tenth of it.
 */
const HEARD_MAX = 10_000;
const WINDOW_MS = 1000;

export interface UdpOptions {
  readonly port: number;
  readonly clock: Clock;
  readonly addresses: () => readonly LocalAddress[];
  /** Interfaces that are left alone, and whether others than loopback are used at all. */
  readonly excluded: readonly string[];
  /** Said once for each cause. */
  readonly troubled: (why: string) => void;
}

interface Way {
  readonly socket: 4 | 6;
  readonly to: string;
  /** Set before sending to a group, so that it leaves by this interface. */
  readonly via?: string;
}

type Socket = ReturnType<typeof DgramAsPromised.createSocket>;

interface Sockets {
  readonly four: Socket;
  readonly six: Socket | undefined;
}

export async function openUdp(options: UdpOptions): Promise<Datagrams> {
  const udp = new Udp(options, await socketsOf(options));
  udp.refresh();
  return udp;
}

/** Throws Problem. */
async function socketsOf(options: UdpOptions): Promise<Sockets> {
  const four = await bound("udp4", options.port).catch((error) => refuse(options, error));
  const six = await bound("udp6", options.port).catch(() => undefined); // Machines without IPv6 are common.
  return { four, six };
}

function refuse({ port }: UdpOptions, error: unknown): never {
  throw new Problem(
    "unavailable",
    `UDP port ${port} cannot be used to find other machines: ${reason(error)}`,
    {
      param: "cluster.discovery_port",
      remedy: "end what uses the port, or start with --no-discovery",
    },
  );
}

async function bound(type: "udp4" | "udp6", port: number): Promise<Socket> {
  const socket = DgramAsPromised.createSocket({
    type,
    reuseAddr: true,
    reusePort: true,
    ...(type === "udp6" && { ipv6Only: true }),
  });
  await socket.bind({ port });
  return socket;
}

class Udp implements Datagrams {
  onReceive: (bytes: Uint8Array, from: Endpoint) => void = () => {};
  readonly #options: UdpOptions;
  readonly #joined = new Set<string>();
  readonly #told = new Set<string>();
  /** None while a flood goes unread. */
  #sockets: Sockets | undefined;
  #ways: readonly Way[] = [];
  #looks = 0;
  #cancel = () => {};
  #cancelDeaf = () => {};
  #isClosed = false;
  #heard = 0;
  #windowMs = 0;

  constructor(options: UdpOptions, sockets: Sockets) {
    this.#options = options;
    this.#listen(sockets);
  }

  #listen(sockets: Sockets): void {
    this.#sockets = sockets;
    sockets.four.socket.setBroadcast(true);
    for (const socket of [sockets.four, sockets.six]) {
      socket?.socket.on("message", (bytes, { address, port }) => {
        if (this.#sockets !== sockets || this.#isFlooded()) return;
        if (bytes.length <= DATAGRAM_BYTES_MAX) this.onReceive(bytes, { host: address, port });
      });
      socket?.socket.on("error", (error) => this.#tell(error.message));
    }
  }

  #isFlooded(): boolean {
    this.#heard += 1;
    if (this.#heard < HEARD_MAX) return false;
    const passedMs = this.#options.clock.nowMs() - this.#windowMs;
    this.#heard = 0;
    this.#windowMs += passedMs;
    if (passedMs >= WINDOW_MS) return false;
    this.#deafen(WINDOW_MS - passedMs);
    return true;
  }

  #deafen(ms: number): void {
    const { four, six } = this.#sockets ?? {};
    this.#sockets = undefined;
    for (const socket of [four, six]) void socket?.close().catch(() => {}); // It fails where it is closed already.
    this.#cancelDeaf = this.#options.clock.after(ms, () => void this.#hearAgain());
  }

  async #hearAgain(): Promise<void> {
    try {
      const sockets = await socketsOf(this.#options);
      this.#windowMs = this.#options.clock.nowMs();
      this.#joined.clear();
      this.#listen(sockets);
      if (this.#isClosed) await this.close();
      else this.#look();
    } catch (error) {
      this.#tell(reason(error));
      if (!this.#isClosed) this.#deafen(WINDOW_MS);
    }
  }

  shout(bytes: Uint8Array): void {
    for (const { socket, to, via } of this.#ways) {
      const udp = this.#sockets?.[socket === 4 ? "four" : "six"];
      if (!udp) continue;
      try {
        if (via !== undefined) udp.socket.setMulticastInterface(via);
        udp.socket.send(
          bytes,
          this.#options.port,
          to,
          (error) => error && this.#tell(`${to}: ${error.message}`),
        );
      } catch (error) {
        this.#tell(`${to}: ${reason(error)}`);
      }
    }
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    const udp = this.#sockets?.[to.host.includes(":") ? "six" : "four"];
    try {
      udp?.socket.send(bytes, to.port, to.host, (error) => error && this.#tell(unsent(to.host, error)));
    } catch (error) {
      this.#tell(unsent(to.host, error));
    }
  }

  /** Looks which interfaces there are, joins their groups, and looks again after a while. */
  refresh(): void {
    this.#look();
    this.#looks += 1;
    const ms = this.#looks < EARLY_LOOKS ? REFRESH_EARLY_MS : REFRESH_MS;
    this.#cancel = this.#options.clock.after(ms, () => this.refresh());
  }

  #look(): void {
    const { excluded } = this.#options;
    const all = this.#options.addresses();
    if (this.#looks === 0) this.#tellAbsent([...new Set(all.map((address) => address.interface))]);
    const addresses = all.filter((address) => !excluded.includes(address.interface));
    this.#ways = waysOf(addresses);
    for (const way of this.#ways) {
      const name = `${way.to} ${way.via}`;
      if (way.via !== undefined && !this.#joined.has(name) && this.#join(way, way.via))
        this.#joined.add(name);
    }
    for (const held of this.#joined)
      if (!this.#ways.some(({ to, via }) => `${to} ${via}` === held)) this.#joined.delete(held);
  }

  #join({ socket, to }: Way, via: string): boolean {
    try {
      const udp = this.#sockets?.[socket === 4 ? "four" : "six"];
      udp?.socket.addMembership(to, via);
      return udp !== undefined;
    } catch (error) {
      // Linux keeps the membership of an interface that only lost its cable (ip(7)).
      if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") return true;
      this.#tell(`no multicast on ${via}: ${reason(error)}`);
      return false;
    }
  }

  /** One that comes later is left alone as well. */
  #tellAbsent(here: readonly string[]): void {
    const absent = this.#options.excluded.filter((name) => !here.includes(name));
    if (absent.length > 0)
      this.#tell(
        `exclude_interfaces names ${absent.join(", ")}, and there is no such interface now; those with an address are: ${here.join(", ")}`,
      );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel();
    this.#cancelDeaf();
    await this.#sockets?.four.close();
    await this.#sockets?.six?.close();
  }

  #tell(why: string): void {
    if (this.#told.has(why) || this.#told.size >= 64) return;
    this.#told.add(why);
    this.#options.troubled(why);
  }
}

/**
 * Every way out: a network's broadcast address and the group on each IPv4 address, the group on each interface with a link-local
 * IPv6 address. Within the machine broadcast is enough.
 */
export function waysOf(addresses: readonly LocalAddress[]): readonly Way[] {
  const ways = new Map<string, Way>();
  for (const local of addresses) for (const way of waysFrom(local)) ways.set(`${way.to} ${way.via}`, way);
  return [...ways.values()];
}

function waysFrom({
  family,
  address,
  netmask,
  scope,
  internal,
  interface: name,
}: LocalAddress): readonly Way[] {
  if (family === "IPv6") return scope ? [{ socket: 6, to: `${GROUP_6}%${name}`, via: `::%${scope}` }] : [];
  const broadcast: Way = { socket: 4, to: broadcastOf(address, netmask) };
  return internal ? [broadcast] : [broadcast, { socket: 4, to: GROUP_4, via: address }];
}

/** Whether the host is on a network of one of the addresses, so that shouting reaches it. */
export function isOnNetwork(host: string, addresses: readonly LocalAddress[]): boolean {
  if (host.includes(":")) return /^fe80:/i.test(host);
  const near = ({ family, address, netmask }: LocalAddress) =>
    family === "IPv4" && broadcastOf(host, netmask) === broadcastOf(address, netmask);
  return addresses.some(near);
}

/** The address of all hosts in an IPv4 network: the host bits set. */
function broadcastOf(address: string, netmask: string): string {
  const mask = netmask.split(".").map(Number);
  return address
    .split(".")
    .map((part, i) => Number(part) | (~(mask[i] ?? 255) & 255))
    .join(".");
}

/** Names come from whoever wrote them after --peers; the system's words for one that is unknown say nothing to do about it. */
export function unsent(host: string, error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  // As at boot: each later word asks anew.
  if (code === "EAI_AGAIN") return `${host}: no name service answers yet (${code}); it is asked again`;
  return /^(E|DNS_E)(NOTFOUND|AI_|NODATA|NONAME)/.test(code)
    ? `no address is known for ${host} (${code}): look at how its name is spelt, or name it by its address (--peers 192.168.1.7:52416)`
    : `${host}: ${reason(error)}`;
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));
