/** `exo serve --list-peers`: who is near, without serving. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { discovery } from "#actors/discovery/index";
import { hashOf } from "#actors/runtime/security/identity";
import { ActorSystem } from "#actors/runtime/system";
import { endpointFrom } from "#actors/runtime/transport/endpoint";
import { tailnetStatus } from "#actors/runtime/transport/local-daemon";
import type { NodeView } from "#protocol/cluster";
import { Discovery, type DiscoveryReply, type Neighbour } from "#protocol/discovery";
import { MINOR_VERSION } from "#protocol/hello";
import { localAddresses } from "../cluster/open-network.ts";
import type { Client } from "../daemon/client.ts";
import { findDaemon } from "../daemon/daemon.ts";
import { usageProblem } from "../exit-code.ts";
import { nodeIdentity } from "../home/node-key.ts";
import { printJson, type Session } from "../session.ts";
import { safeText } from "../terminal/safe-text.ts";
import { table } from "../terminal/table.ts";

/** Machines of one network answer a newcomer within it. */
const LISTEN_MS = 3000;
const ASK_MS = 1000;
const SHORT_ID = 8;

interface Peer {
  readonly node: string;
  readonly name: string;
  readonly version: string;
  readonly addresses: readonly string[];
  /** Not known of those that another exo of this machine tells of. */
  readonly inviting?: boolean;
}

interface Seen {
  readonly nodes: readonly NodeView[];
  readonly namespace?: string;
}

export async function listPeers(session: Session): Promise<void> {
  const { config, terminal, json, quiet, progress } = session;
  if (config.cluster.discoveryPort === undefined)
    throw usageProblem("--list-peers and --no-discovery exclude each other", "leave one of both out");
  const peers =
    (await told(session, await findDaemon(session))) ??
    (await heard(session, config.cluster.discoveryPort)).map(peerOf);
  if (json) printJson(session, "peers", { peers });
  else if (quiet) terminal.out(peers.map(({ node }) => `${node}\n`).join(""));
  else terminal.out(table(["name", "id", "version", "addresses"], peers.map(row), {}));
  if (peers.length === 0)
    progress.milestone(
      `no other machine is heard in the namespace ${JSON.stringify(config.cluster.namespace)}: start exo serve on them, or say where to look (--namespace NAME, --peers HOST:PORT)`,
    );
}

/** Of the exo that runs here; undefined where it cannot tell, as it is none or sees another namespace's machines. */
async function told(
  { config, signal }: Session,
  daemon: Client | undefined,
): Promise<readonly Peer[] | undefined> {
  if (!daemon) return undefined;
  const { nodes, namespace } = await daemon.get<Seen>("/exo/v1/cluster", signal);
  const isOther = namespace !== undefined && namespace !== config.cluster.namespace;
  if (isOther && config.host !== undefined)
    throw usageProblem(
      `the exo at ${config.host} sees the machines of its own namespace, ${JSON.stringify(namespace)}`,
      "name that one (--namespace), or leave out --host to listen here",
    );
  if (isOther) return undefined;
  return nodes
    .filter(({ state }) => state !== "self")
    .map(({ node, name, version = "-", addresses }) => ({ node, name, version, addresses }));
}

const row = ({ name, node, version, addresses }: Peer) => [
  safeText(name),
  node.slice(0, SHORT_ID),
  safeText(version),
  addresses.join(" ") || "-",
];

const peerOf = ({ node, name, version, addresses, inviting }: Neighbour): Peer => ({
  node,
  name,
  version,
  addresses,
  inviting: inviting === true,
});

/** Shows itself for a moment, as who says nothing is not answered. */
async function heard(session: Session, port: number): Promise<readonly Neighbour[]> {
  const { config, build, clock, progress, signal } = session;
  const { namespace, excludedInterfaces, peers, port: membersPort, name } = config.cluster;
  const { node, publicKey } = await nodeIdentity(config.home);
  const system = new ActorSystem(node, clock);
  const boot = new Uint8Array(randomBytes(16));
  const hash = hashOf(publicKey);
  const found = await discovery(system, {
    clock,
    port,
    namespace,
    excludedInterfaces,
    peers: peers.map(endpointFrom).filter((each) => each !== undefined),
    tailnet: () => tailnetStatus(),
    addresses: localAddresses,
    presence: () => ({
      minor: MINOR_VERSION,
      node: hash,
      boot,
      name: name ?? hostname(),
      version: build.version,
      port: membersPort,
      pairingPort: 0,
    }),
    changed: () => {},
    troubled: (why) => progress.milestone(`other machines: ${why}`),
  });
  progress.status("listening for other machines");
  await new Promise<void>((resolve) => {
    const cancel = clock.after(LISTEN_MS, resolve);
    signal.addEventListener("abort", () => resolve(cancel()), { once: true });
  });
  progress.end();
  const me = system.address("command");
  const answer = await system.ask<DiscoveryReply>(found.address, Discovery.List({}), me, ASK_MS);
  await found.stop();
  return answer.neighbours;
}
