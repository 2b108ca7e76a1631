/** Nodes of one cluster in this process, with real TLS links between them on loopback. */
import { systemClock } from "#actors/runtime/clock";
import { clusterCertificate, nodeCertificate } from "#actors/runtime/security/certificate";
import { freshIdentity } from "#actors/runtime/security/identity";
import { ActorSystem } from "#actors/runtime/system";
import type { Lane, Link } from "#actors/runtime/transport/network";
import { TlsNetwork } from "#actors/runtime/transport/tls";
import type { Spoken } from "#protocol/hello";
import type { ClusterId, NodeId } from "#protocol/ids";

const DIAL_MS = 60_000;

export class TlsNodes {
  readonly #key = freshIdentity();
  readonly #members = new Set<NodeId>();
  readonly #open: TlsNetwork[] = [];
  #pem: Promise<string> | undefined;

  async start(spoken?: Spoken) {
    this.#pem ??= clusterCertificate(this.#key, "test" as ClusterId);
    const clusterPem = await this.#pem;
    const identity = freshIdentity();
    this.#members.add(identity.node);
    const nodePem = await nodeCertificate(identity, this.#key, clusterPem);
    const refused: string[] = [];
    const crashes: unknown[] = [];
    const links: Link[] = [];
    const network = new TlsNetwork({
      identity,
      boot: "0".repeat(32),
      capabilities: [],
      clock: systemClock,
      ...(spoken && { spoken }),
      trust: { clusterPem, nodePem, minimumMinor: 0, isMember: (id) => this.#members.has(id) },
      listen: [{ host: "127.0.0.1", port: 0 }],
      refused: (_, why) => refused.push(why),
      crashed: (error) => crashes.push(error),
    });
    network.onLink = (link) => links.push(link);
    this.#open.push(network);
    const [endpoint = { host: "", port: 0 }] = network.endpoints;
    return {
      id: identity.node,
      network,
      endpoint,
      refused,
      crashes,
      links,
      system: new ActorSystem(identity.node, systemClock),
    };
  }

  /** A link of `from` to `to`, and its other end. */
  async link(from: TlsNode, to: TlsNode, lane: Lane): Promise<{ readonly near: Link; readonly far: Link }> {
    const signal = AbortSignal.timeout(DIAL_MS);
    const near = await from.network.dial(to.endpoint, { lane, expect: to.id, signal });
    const far = to.links.at(-1);
    if (!far) throw new Error("the other side has no link");
    return { near, far };
  }

  /** Joins their actor systems over a control link. */
  async join(from: TlsNode, to: TlsNode) {
    const { near, far } = await this.link(from, to, "control");
    from.system.connect(to.id, near);
    to.system.connect(from.id, far);
    return { near, far };
  }

  async close(): Promise<void> {
    for (const network of this.#open) await network.close();
  }
}

export type TlsNode = Awaited<ReturnType<TlsNodes["start"]>>;
