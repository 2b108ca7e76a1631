/** Endpoints as people and records write them: `10.0.0.1:52416`, `[fe80::1%eth0]:52416`. */
import type { Endpoint } from "./network.ts";

export const endpointText = ({ host, port }: Endpoint): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

/** Undefined for what is no endpoint. */
export function endpointFrom(text: string): Endpoint | undefined {
  const [, six, four, digits] = /^(?:\[([0-9A-Fa-f:.%\w-]+)\]|([\w.-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = six ?? four;
  const port = Number(digits);
  return host !== undefined && port >= 1 && port <= 65_535 ? { host: unmapped(host), port } : undefined;
}

/** An IPv4 address as an IPv6 socket shows it (RFC 4291, section 2.5.5.2), in its own form. */
export const unmapped = (host: string): string => host.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "");
