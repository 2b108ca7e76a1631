/** By which interface a link leaves this machine: by its own address, by its zone, or by the network that holds the peer. */
import type { Interface, Medium } from "#protocol/node";
import type { LocalAddress } from "./probes/machine.ts";

export interface Exit {
  readonly medium: Medium;
  readonly interface?: string;
}

interface Surroundings {
  readonly addresses: readonly LocalAddress[];
  readonly interfaces: readonly Interface[];
}

export function exitOf(
  way: { readonly remote: string; readonly local?: string },
  around: Surroundings,
): Exit {
  const [remote, zone] = plain(way.remote).split("%");
  const local = way.local === undefined ? undefined : plain(way.local).split("%")[0];
  const { addresses, interfaces } = around;
  const own = addresses.find(
    ({ address, internal }) => address === remote || (internal && address === local),
  );
  if (own || isLoopback(remote ?? "")) return { medium: "loopback" };
  const name =
    addresses.find(({ address }) => address === local)?.interface ??
    zone ??
    addresses.find(({ address, netmask }) => sameNetwork(address, netmask, remote ?? ""))?.interface;
  if (name === undefined) return { medium: "unknown" };
  const medium = interfaces.find((each) => each.name === name)?.medium ?? "unknown";
  return { medium, interface: name.slice(0, 32) };
}

/** IPv4 in IPv6 clothes (RFC 4291, section 2.5.5.2) is the same address. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, "");

const isLoopback = (address: string): boolean => address === "::1" || address.startsWith("127.");

/** IPv4 only: neighbours over IPv6 have a zone or this end's address. */
function sameNetwork(address: string, netmask: string, other: string): boolean {
  const [mine, mask, theirs] = [address, netmask, other].map(bitsOf);
  return (
    mine !== undefined && mask !== undefined && theirs !== undefined && (mine & mask) === (theirs & mask)
  );
}

function bitsOf(address: string): number | undefined {
  const parts = address.split(".").map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : Number.NaN));
  if (parts.length !== 4 || parts.some((part) => !(part <= 255))) return undefined;
  return parts.reduce((bits, part) => (bits << 8) | part, 0);
}
