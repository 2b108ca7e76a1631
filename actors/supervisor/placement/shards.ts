/** What a worker of this machine is to load of a placement: from its own disk, or fetched from another machine; and what others fetch here. */
import type { Clock } from "#actors/runtime/clock";
import type { NodeId } from "#protocol/ids";
import type { PlacedInstance } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { Shard } from "#protocol/shard";
import type { Cluster } from "../cluster/ports.ts";
import { Sources } from "../copying/source.ts";
import type { PartWanted } from "./holder.ts";
import type { Own } from "./serving.ts";
import { checkpointView } from "./stages.ts";

export interface ShardsOptions {
  readonly clock: Clock;
  /** A model on this machine's disk; nothing is fetched. Throws Problem. */
  readonly find: (model: string) => Promise<Own>;
  readonly nameOf: (node: NodeId) => string;
  /** Where models are kept. */
  readonly modelsFolder: string;
}

export class Shards {
  readonly #cluster: Cluster;
  readonly #options: ShardsOptions;
  readonly #sources: Sources;

  constructor(cluster: Cluster, options: ShardsOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#sources = new Sources({ self: cluster.self, clock: options.clock, find: options.find });
    cluster.onLane("file", (link) => this.#sources.take(link));
  }

  /** Throws Problem. */
  async of(record: PlacedInstance, part: PartWanted): Promise<Shard> {
    const { model, digest, settings } = record;
    const own = await this.#options.find(model).catch(ifNotHere);
    if (!own) return { model, path: await this.#fetched(record, part), ...settings };
    const view = await checkpointView(own);
    if (view.digest !== digest) throw otherCheckpoint(own);
    return { model, path: own.path, ...settings };
  }

  stop(): void {
    this.#sources.stop();
  }

  async #fetched({ model, digest, stages }: PlacedInstance, part: PartWanted): Promise<string> {
    const { fetchModel } = await import("../copying/fetch.ts");
    const { freeBytes } = await import("#actors/shard-worker/weights/pull");
    const cluster = this.#cluster;
    const { self } = cluster;
    const sources = () => {
      const all = new Set([...stages.map(({ node }) => node), ...cluster.linked]);
      return [...all].filter((node) => node !== self && cluster.link(node) !== undefined);
    };
    const dial = (node: NodeId, signal: AbortSignal) => cluster.dial(node, "file", signal);
    return await fetchModel({ ...this.#options, self, sources, dial, freeBytes }, { model, digest, ...part });
  }
}

/** Undefined for what is not on this machine. */
export function ifNotHere(error: unknown): undefined {
  if (error instanceof Problem && error.kind === "notFound") return undefined;
  throw error;
}

const otherCheckpoint = ({ name, path }: Own): Problem =>
  new Problem("invalid", `${path} is not the ${name} that the other machines have: it changed just now`, {
    remedy: `fetch it again on each: exo pull ${name}`,
  });
