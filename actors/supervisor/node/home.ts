/** This node among others: its membership, how others come in, and what all of them have. */
import type { ActorSystem } from "#actors/runtime/system";
import { Problem } from "#protocol/problem";
import type { ModelState } from "#protocol/supervisor";
import { type ClusterOptions, type OpenCluster, openCluster } from "../cluster/cluster.ts";
import { type Machines, openMachines } from "../cluster/machines.ts";
import { type OpenPairing, openPairing } from "./pairing.ts";

export interface Home {
  readonly cluster: OpenCluster;
  readonly pairing: OpenPairing;
  readonly machines: Machines;
  stop(): Promise<void>;
}

export interface HomeOptions {
  readonly cluster: ClusterOptions;
  readonly modelsFolder: string;
  readonly loaded: () => Promise<readonly ModelState[]>;
}

/** Nothing where the membership cannot be read: the machine serves alone, and says why. Throws Problem. */
export async function openHome(system: ActorSystem, options: HomeOptions): Promise<Home | undefined> {
  const { modelsFolder, loaded } = options;
  const { name, version } = options.cluster;
  const cluster = await opened(system, options.cluster);
  if (!cluster) return undefined;
  /** Whether a model computes or is being loaded. */
  const busy = async () =>
    (await loaded()).some(({ state, requests }) => requests > 0 || state === "loading");
  const machines = openMachines(system, cluster, { name, version, modelsFolder, busy });
  const pairing = await openPairing(system, cluster, options.cluster).catch(async (error: unknown) => {
    machines.stop();
    await cluster.stop();
    throw error;
  });
  return {
    cluster,
    pairing,
    machines,
    async stop() {
      pairing.stop();
      machines.stop();
      await cluster.stop();
    },
  };
}

async function opened(system: ActorSystem, options: ClusterOptions): Promise<OpenCluster | undefined> {
  try {
    return await openCluster(system, options);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    options.troubled(`${error.message}; this machine serves alone${error.remedy ? `: ${error.remedy}` : ""}`);
    return undefined;
  }
}
