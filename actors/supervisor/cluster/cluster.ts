/** This node among others: its identity, who is near, who belongs to its home, and what `exo nodes` shows of them. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type DiscoveryHandle, type DiscoveryOptions, discovery } from "#actors/discovery/index";
import { hashOf, type Identity } from "#actors/runtime/security/identity";
import type { ActorSystem } from "#actors/runtime/system";
import { endpointFrom } from "#actors/runtime/transport/endpoint";
import { tailnetStatus } from "#actors/runtime/transport/local-daemon";
import { kernelAnswers } from "#actors/runtime/transport/probe";
import { Discovery, type DiscoveryReply, type Neighbour } from "#protocol/discovery";
import { MINOR_VERSION } from "#protocol/hello";
import type { Address } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { ClusterNode } from "./cluster-node.ts";
import { localAddresses, openNetwork, reachableHosts } from "./open-network.ts";
import type { Cluster } from "./ports.ts";
import { Refusals } from "./refusals.ts";
import { SqliteStore } from "./sqlite-store.ts";

export interface ClusterOptions {
  readonly identity: Identity;
  /** The folder that holds this node's key, 0700. */
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly namespace: string;
  /** TCP, for links between members; 0 takes a free one. */
  readonly port: number;
  /** UDP, for shouting; absent: this node neither shouts nor listens. */
  readonly discoveryPort?: number;
  readonly excludedInterfaces: readonly string[];
  /** Machines that shouting does not reach, `host:port`. */
  readonly peers: readonly string[];
  /** Machines that have the same one pair by themselves. */
  readonly secret?: string;
  readonly troubled: (why: string) => void;
}

/** What the node that runs here offers beside its membership. */
export interface OpenCluster extends Cluster {
  /** Shows others that an invite is answered on this TCP port; 0 ends that. */
  showPairing(port: number): void;
}

const ASK_MS = 2000;
/** What strangers are told while nothing listens: a presence with port 0 is a farewell. */
const PORT_UNUSED = 52_416;

/** Throws Problem when the cluster's file is damaged or another process's. */
export async function openCluster(system: ActorSystem, options: ClusterOptions): Promise<OpenCluster> {
  const { identity, name, version, port, troubled } = options;
  const boot = randomBytes(16);
  let pairingPort = 0;
  let node: ClusterNode | undefined;
  const presence = () => ({
    minor: MINOR_VERSION,
    node: hashOf(identity.publicKey),
    boot: new Uint8Array(boot),
    name,
    version,
    port: node?.port ?? (port || PORT_UNUSED),
    pairingPort,
  });
  const found = await openDiscovery(system, options, { presence, changed: () => node?.touch() });
  let store: SqliteStore | undefined;
  try {
    const kept = new SqliteStore(join(options.folder, "cluster.db"));
    store = kept;
    const { clock } = system;
    const refusals = new Refusals(clock, troubled);
    const refused = (from: string, why: string) => refusals.add(from, why);
    const network = { identity, boot: boot.toString("hex"), clock, port, troubled, refused };
    const opened = await ClusterNode.open({
      system,
      identity,
      store: kept,
      name,
      version,
      troubled,
      refused,
      random: () => Number.parseInt(clock.freshId().slice(0, 8), 16) / 2 ** 32,
      openNetwork: (trust) => openNetwork(network, trust),
      watch: found.watch,
      probe: kernelAnswers,
      hosts: () => reachableHosts(localAddresses()),
      near: () => neighbours(system, found.address),
    });
    node = opened;
    const showPairing = (shown: number) => {
      pairingPort = shown;
      found.announce();
    };
    return closing(opened, { showPairing }, async () => {
      await found.stop();
      kept.close();
    });
  } catch (error) {
    store?.close();
    await found.stop();
    throw error;
  }
}

function closing<More extends object>(
  node: ClusterNode,
  more: More,
  close: () => Promise<void>,
): ClusterNode & More {
  const stop = node.stop.bind(node);
  return Object.assign(node, more, {
    async stop() {
      await stop();
      await close();
    },
  });
}

/** A machine without a usable network works alone. */
async function openDiscovery(
  system: ActorSystem,
  { discoveryPort, namespace, excludedInterfaces, peers: named, troubled }: ClusterOptions,
  more: Pick<DiscoveryOptions, "presence" | "changed">,
): Promise<DiscoveryHandle> {
  const { clock } = system;
  const addresses = localAddresses;
  const peers = named.map(endpointFrom).filter((each) => each !== undefined);
  const tailnet = () => tailnetStatus();
  const options = { clock, namespace, excludedInterfaces, addresses, troubled, peers, tailnet, ...more };
  try {
    return await discovery(system, { ...options, port: discoveryPort });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    troubled(error.message);
    return await discovery(system, { ...options, port: undefined });
  }
}

async function neighbours(system: ActorSystem, to: Address): Promise<readonly Neighbour[]> {
  const answer = await system.ask<DiscoveryReply>(to, Discovery.List({}), system.address("cluster"), ASK_MS);
  return answer.neighbours;
}
