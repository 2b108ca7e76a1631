/** This node among others: its identity, who is near, who belongs to its home, and what `exo nodes` shows of them. */
import { join } from "node:path";
import type { Identity } from "#actors/runtime/security/identity";
import type { Steps } from "#actors/runtime/security/steps";
import type { ActorSystem } from "#actors/runtime/system";
import { kernelAnswers } from "#actors/runtime/transport/probe";
import { ClusterNode } from "./cluster-node.ts";
import { localAddresses, openNetwork, reachableHosts } from "./open-network.ts";
import type { Cluster } from "./ports.ts";
import { Refusals } from "./refusals.ts";
import { SqliteStore } from "./sqlite-store.ts";
import type { Surroundings } from "./surroundings.ts";

export interface ClusterOptions {
  readonly identity: Identity;
  /** The folder that holds this node's key, 0700. */
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly namespace: string;
  /** TCP, for links between members; 0 takes a free one. */
  readonly port: number;
  /** False: where it is taken, another will do as well. */
  readonly isPortChosen?: boolean;
  /** UDP, for shouting; absent: this node neither shouts nor listens. */
  readonly discoveryPort?: number;
  readonly excludedInterfaces: readonly string[];
  /** Machines that shouting does not reach, `host:port`. */
  readonly peers: readonly string[];
  /** Machines that have the same one pair by themselves. */
  readonly secret?: string;
  /** How codes are proved, certificates made and keys sealed; absent: in this process, which keeps memory for it. */
  readonly steps?: Steps;
  readonly troubled: (why: string) => void;
}

/** What the node that runs here offers beside its membership. */
export interface OpenCluster extends Cluster {
  /** What its home calls this machine. */
  ownName(): string;
  /** Shows others that an invite is answered on this TCP port; 0 ends that. */
  showPairing(port: number, inviting: boolean): void;
}

/** Throws Problem when the cluster's file is damaged or another process's. */
export async function openCluster(
  system: ActorSystem,
  options: ClusterOptions,
  around: Surroundings,
): Promise<OpenCluster> {
  const { identity, name, version, port, isPortChosen, steps, troubled } = options;
  const { boot, watch, neighbours, showPairing, ownName } = around;
  const store = new SqliteStore(join(options.folder, "cluster.db"));
  try {
    const { clock } = system;
    const refusals = new Refusals(clock, troubled);
    const refused = (from: string, why: string) => refusals.add(from, why);
    const network = { identity, boot, clock, port, isPortChosen, troubled, refused, crashed: system.caught };
    const node = await ClusterNode.open({
      system,
      identity,
      store,
      name,
      version,
      steps,
      troubled,
      refused,
      random: () => Number.parseInt(clock.freshId().slice(0, 8), 16) / 2 ** 32,
      openNetwork: (trust) => openNetwork(network, trust),
      watch,
      probe: kernelAnswers,
      hosts: () => reachableHosts(localAddresses()),
      near: neighbours,
    });
    around.belongsTo(node);
    return closing(node, { showPairing, ownName }, () => store.close());
  } catch (error) {
    store.close();
    throw error;
  }
}

function closing<More extends object>(node: ClusterNode, more: More, close: () => void): ClusterNode & More {
  const stop = node.stop.bind(node);
  return Object.assign(node, more, {
    async stop() {
      await stop();
      close();
    },
  });
}
