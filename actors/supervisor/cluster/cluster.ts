/** This node among others: its identity, who is near, and what `exo nodes` shows of both. */
import { randomBytes } from "node:crypto";
import { networkInterfaces } from "node:os";
import { discovery } from "#actors/discovery/index";
import type { Identity } from "#actors/runtime/security/identity";
import { hashOf } from "#actors/runtime/security/identity";
import type { ActorSystem } from "#actors/runtime/system";
import type { NodeView } from "#protocol/cluster";
import { Discovery, type DiscoveryReply, type Neighbour } from "#protocol/discovery";
import { MINOR_VERSION } from "#protocol/hello";
import type { Address } from "#protocol/ids";
import { Problem } from "#protocol/problem";

export interface ClusterOptions {
  readonly identity: Identity;
  readonly name: string;
  readonly version: string;
  readonly namespace: string;
  /** TCP, for links between members. */
  readonly port: number;
  /** UDP, for shouting; absent: this node neither shouts nor listens. */
  readonly discoveryPort?: number;
  readonly excludedInterfaces: readonly string[];
  readonly troubled: (why: string) => void;
}

export interface Cluster {
  nodes(): Promise<readonly NodeView[]>;
  stop(): Promise<void>;
}

const ASK_MS = 2000;

export async function openCluster(system: ActorSystem, options: ClusterOptions): Promise<Cluster> {
  const { identity, name, version, namespace, port, discoveryPort, excludedInterfaces, troubled } = options;
  const boot = new Uint8Array(randomBytes(16));
  const me = system.address("cluster");
  const presence = () => ({
    minor: MINOR_VERSION,
    node: hashOf(identity.publicKey),
    boot,
    name,
    version,
    port,
    pairingPort: 0,
  });
  const opened = discoveryPort === undefined ? undefined : await open(discoveryPort);

  /** A machine without a usable network works alone. */
  function open(udpPort: number) {
    const { clock } = system;
    const found = {
      clock,
      port: udpPort,
      namespace,
      excludedInterfaces,
      addresses: localAddresses,
      troubled,
      presence,
    };
    return discovery(system, found).catch((error: unknown) => {
      if (!(error instanceof Problem)) throw error;
      troubled(error.message);
      return undefined;
    });
  }

  return {
    async nodes() {
      const near = opened ? await neighbours(system, opened.address, me) : [];
      return [selfView(options), ...near.map(strangerView)];
    },
    stop: async () => opened?.stop(),
  };
}

async function neighbours(system: ActorSystem, to: Address, from: Address): Promise<readonly Neighbour[]> {
  const answer = await system.ask<DiscoveryReply>(to, Discovery.List({}), from, ASK_MS);
  return answer.neighbours;
}

const selfView = ({ identity, name }: ClusterOptions): NodeView => ({
  node: identity.node,
  name,
  state: "self",
  leader: true,
  voter: true,
  drained: false,
  excluded: false,
  labels: {},
  addresses: [],
});

const strangerView = ({ node, name, addresses, silentMs, version }: Neighbour): NodeView => ({
  node,
  name,
  version,
  state: "unpaired",
  leader: false,
  voter: false,
  drained: false,
  excluded: false,
  labels: {},
  addresses,
  silentMs,
});

/** Every address of this machine as it is now. */
const localAddresses = () =>
  Object.entries(networkInterfaces()).flatMap(([name, list = []]) =>
    list.map(({ address, netmask, family, internal, scopeid }) => ({
      interface: name,
      address,
      netmask,
      family,
      internal,
      ...(scopeid !== undefined && { scope: scopeid }),
    })),
  );
