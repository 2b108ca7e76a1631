/** What both sides of a link between members demand of TLS. */
import type { Identity } from "../security/identity.ts";

const TLS_1_3 = 0x0304;
/** The major protocol version, as TLS negotiates it (RFC 7301). */
export const PROTOCOL = "exo/1";
/** As it goes over the wire: a length, then the name. */
const ALPN = new Uint8Array([PROTOCOL.length, ...new TextEncoder().encode(PROTOCOL)]).buffer;

export interface Certificates {
  readonly clusterPem: string;
  /** Of keys before: their certificates prove a key, and what they open is the node's own decision. */
  readonly formerPems?: readonly string[];
  readonly nodePem: string;
}

export const tlsSettings = (
  { pem }: Pick<Identity, "pem">,
  { clusterPem, formerPems = [], nodePem }: Certificates,
) => ({
  key: pem,
  cert: nodePem,
  ca: [clusterPem, ...formerPems],
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: TLS_1_3,
  maxVersion: TLS_1_3,
  ALPNProtocols: ALPN,
});

/** A link that is silent for longer is probed: routers forget a connection that nothing passes by, the strictest after a minute or two. */
export const KEEP_ALIVE_MS = 30_000;
