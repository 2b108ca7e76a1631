/** The machines of the home, as the exo that runs knows them: for what a config says of several. */

import type { Cluster } from "../commands/nodes.ts";
import { findDaemon } from "../daemon/daemon.ts";
import type { Session } from "../session.ts";
import type { BenchConfig } from "./bench-config.ts";
import { needsHome } from "./placements.ts";

export interface Home {
  /** Machines that are there now, this one among them. */
  readonly nodes: number;
  /** Of all of them together, where all tell. */
  readonly memoryBytes?: number;
  /** Of the links between them. */
  readonly media: readonly string[];
}

/** The home, or why there is none to measure on; nobody is asked where the config needs none. Throws Problem. */
export async function homeFor(session: Session, config: BenchConfig): Promise<Home | string> {
  const { target, require } = config;
  if (!needsHome(config) && !require?.nodes && !require?.link && !require?.memory) return "not asked for";
  if (target.url !== undefined) return "a server that a URL names places its models itself";
  if (target.api === "engine") return "api: engine is this process alone";
  const daemon = await findDaemon(session);
  if (!daemon) return "no exo serves here, and this process is one machine alone; start one: exo serve";
  const { nodes, links } = await daemon.get<Cluster>("/exo/v1/cluster", session.signal);
  const here = nodes.filter(({ state }) => state === "self" || state === "up");
  const memory = here.map(({ facts }) => facts?.memoryBytes ?? Number.NaN).reduce((a, b) => a + b, 0);
  return {
    nodes: here.length,
    ...(Number.isFinite(memory) && memory > 0 && { memoryBytes: memory }),
    media: [...new Set(links.map(({ medium }) => String(medium)))],
  };
}
