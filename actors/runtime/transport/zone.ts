/** The interface that a link-local address is of. */
import { networkInterfaces } from "node:os";

type Interfaces = ReturnType<typeof networkInterfaces>;

/**
 * The other end's address as it can be dialled again: Bun tells a link-local one without its interface, and the same may be of
 * another machine on each of them (RFC 4007, section 6). It is the interface that has this end, `local`.
 */
export function zoned(
  remote: string,
  local: string,
  interfaces: () => Interfaces = networkInterfaces,
): string {
  if (!/^fe[89ab][0-9a-f]:/i.test(remote) || remote.includes("%")) return remote;
  const own = Object.entries(interfaces()).find(([, all]) => all?.some(({ address }) => address === local));
  return own ? `${remote}%${own[0]}` : remote;
}
