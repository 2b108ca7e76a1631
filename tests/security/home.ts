/** Nodes with real TLS links on loopback, and everybody who is not one of them but tries. */
import { randomBytes } from "node:crypto";
import { type Clock, systemClock } from "#actors/runtime/clock";
import { clusterCertificate, nodeCertificate, serverName } from "#actors/runtime/security/certificate";
import { certificates } from "#actors/runtime/security/certificate-steps";
import { freshIdentity, type Identity } from "#actors/runtime/security/identity";
import { ActorSystem } from "#actors/runtime/system";
import { frame } from "#actors/runtime/transport/framing";
import type { Lane, Link } from "#actors/runtime/transport/network";
import { TlsNetwork } from "#actors/runtime/transport/tls";
import { encode } from "#protocol/codec";
import { encodeHello, SPOKEN } from "#protocol/hello";
import type { Address, ClusterId, NodeId } from "#protocol/ids";
import { Supervisor } from "#protocol/supervisor";

const ALPN = (name: string) => new Uint8Array([name.length, ...new TextEncoder().encode(name)]).buffer;
const TLS = { "1.2": 0x0303, "1.3": 0x0304 } as const;
const DIAL_MS = 60_000;

/** A clock by which a second passes between any two looks: no limit of dials is ever reached. */
const hasty = (): Clock => {
  let nowMs = 0;
  return {
    ...systemClock,
    nowMs: () => {
      nowMs += 1000;
      return nowMs;
    },
  };
};

export class Home {
  readonly key = freshIdentity();
  readonly members = new Set<NodeId>();
  minimumMinor = 0;
  pem = "";
  readonly #open: TlsNetwork[] = [];

  static async make(): Promise<Home> {
    const home = new Home();
    home.pem = await clusterCertificate(home.key, "test" as ClusterId);
    return home;
  }

  /** A member that runs, greeted by as many as want to unless its dials are `limited`. */
  async start({ limited = false } = {}) {
    const identity = freshIdentity();
    this.members.add(identity.node);
    const nodePem = await nodeCertificate(identity, this.key, this.pem);
    const refused: string[] = [];
    const links: Link[] = [];
    const home = this;
    const network = new TlsNetwork({
      identity,
      boot: "0".repeat(32),
      capabilities: [],
      clock: limited ? systemClock : hasty(),
      trust: {
        clusterPem: this.pem,
        nodePem,
        isMember: (id) => this.members.has(id),
        get minimumMinor() {
          return home.minimumMinor;
        },
      },
      listen: [{ host: "127.0.0.1", port: 0 }],
      refused: (_, why) => refused.push(why),
      crashed: (error) => {
        throw error;
      },
    });
    network.onLink = (link) => links.push(link);
    this.#open.push(network);
    const [endpoint = { host: "", port: 0 }] = network.endpoints;
    const system = new ActorSystem(identity.node, systemClock);
    return { id: identity.node, identity, nodePem, network, endpoint, refused, links, system };
  }

  async link(from: Node, to: Node, lane: Lane): Promise<{ readonly near: Link; readonly far: Link }> {
    const signal = AbortSignal.timeout(DIAL_MS);
    const near = await from.network.dial(to.endpoint, { lane, expect: to.id, signal });
    const far = to.links.at(-1);
    if (!far) throw new Error("the other side has no link");
    return { near, far };
  }

  async close(): Promise<void> {
    for (const network of this.#open) await network.close();
  }
}

export type Node = Awaited<ReturnType<Home["start"]>>;

/** A certificate as the cluster makes them, but for when it holds. */
export async function certificateOf(
  node: Identity,
  home: Pick<Home, "key" | "pem">,
  [notBefore, notAfter]: readonly [string, string],
): Promise<string> {
  const x509 = await certificates();
  const subtle = async (identity: Identity) => {
    const der = identity.privateKey.export({ type: "pkcs8", format: "der" });
    return await crypto.subtle.importKey("pkcs8", der, { name: "Ed25519" }, true, ["sign"]);
  };
  const raw = Uint8Array.from(node.publicKey);
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(16).toString("hex"),
    subject: `CN=${node.node}`,
    issuer: new x509.X509Certificate(home.pem).subject,
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
    signingKey: await subtle(home.key),
    publicKey: await crypto.subtle.importKey("raw", raw, { name: "Ed25519" }, true, ["verify"]),
    signingAlgorithm: { name: "Ed25519" },
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: serverName(node.node) }]),
    ],
  });
  return made.toString("pem");
}

/** What somebody shows who dials. */
export interface Papers {
  readonly key?: string;
  readonly cert?: string;
  readonly tls?: keyof typeof TLS;
  readonly alpn?: string;
  readonly minor?: number;
}

/** Dials, and speaks at once as a member would; resolves with the bytes that came back when the host has closed. */
export async function intrude(host: Pick<Node, "endpoint" | "id">, papers: Papers): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let heard = 0;
  const { tls = "1.3", alpn = "exo/1", key, cert } = papers;
  const end = () => resolve(heard);
  await Bun.connect({
    hostname: host.endpoint.host,
    port: host.endpoint.port,
    tls: {
      ...(key !== undefined && { key }),
      ...(cert !== undefined && { cert }),
      rejectUnauthorized: false,
      minVersion: TLS[tls],
      maxVersion: TLS[tls],
      ALPNProtocols: ALPN(alpn),
      serverName: serverName(host.id),
      // Bun's types know these of node:tls only.
    } as object,
    socket: {
      handshake: (socket) => {
        socket.write(greeting(papers.minor ?? SPOKEN.minor));
        socket.write(orders(host.id));
      },
      data: (_, bytes) => {
        heard += bytes.length;
      },
      close: end,
      error: end,
      connectError: end,
    },
  }).catch(end);
  return await promise;
}

const greeting = (minor: number): Uint8Array =>
  frame(
    0,
    encodeHello({ ...SPOKEN, minor, oldest: minor, boot: "1".repeat(32), lane: "control", capabilities: [] }),
  );

const orders = (to: NodeId): Uint8Array => {
  const from = `${to}/supervisor` as Address;
  return frame(1, encode({ to: `${to}/supervisor` as Address, from, message: Supervisor.List({}) }));
};

/** Everybody who is no member, by what is wrong with them. */
export async function strangers(home: Home): Promise<Readonly<Record<string, Papers>>> {
  const foreign = await Home.make();
  const papersOf = async (of: Home) => {
    const identity = freshIdentity();
    return { identity, key: identity.pem, cert: await nodeCertificate(identity, of.key, of.pem) };
  };
  const listed = async () => {
    const identity = freshIdentity();
    home.members.add(identity.node);
    return identity;
  };
  const [old, early] = [await listed(), await listed()];
  const revoked = await papersOf(home);
  const member = await papersOf(home);
  home.members.add(member.identity.node);
  const spans = { old: ["2020-01-01", "2021-01-01"], early: ["2110-01-01", "2120-01-01"] } as const;
  return {
    "no certificate": {},
    "a certificate of another cluster": await papersOf(foreign),
    "a certificate that is over": { key: old.pem, cert: await certificateOf(old, home, spans.old) },
    "a certificate of later": { key: early.pem, cert: await certificateOf(early, home, spans.early) },
    "the right cluster's certificate, but not on the list": revoked,
    "the cluster's own certificate": { key: home.key.pem, cert: home.pem },
    "a member with TLS 1.2 only": { ...member, tls: "1.2" },
    "a member of an older major version": { ...member, alpn: "exo/0" },
  };
}
