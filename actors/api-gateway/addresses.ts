/** Addresses of clients: which are this machine, and which count as one. */

/** Loopback: 127.0.0.0/8 and ::1, also spelled as IPv4 inside IPv6 (RFC 4291, section 2.5.5.2). */
export const isLoopback = (address: string): boolean => {
  const plain = address.replace(/^\[(.*)\]$/, "$1").replace(/^::ffff:(?=\d+\.)/i, "");
  return /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(plain) || plain === "::1";
};

/** Hosts that only programs of this machine can reach. */
export const isOwnMachine = (host: string): boolean => host === "localhost" || isLoopback(host);

/** One machine has a whole /64 of IPv6 at hand: all of it counts as one client. */
export function clientOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  if (!plain.includes(":")) return plain;
  const [head = "", tail] = plain.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - left.length - right.length)).fill("0");
  const groups = [...left, ...zeros, ...right].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}
