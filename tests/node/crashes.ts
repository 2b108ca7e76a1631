/** A node in this process whose parts a test lets crash, on a clock that waits for nothing long. */
import { join } from "node:path";
import { type Clock, systemClock } from "#actors/runtime/clock";
import { freshIdentity } from "#actors/runtime/security/identity";
import { ActorSystem } from "#actors/runtime/system";
import type { ClusterOptions } from "#actors/supervisor/cluster/cluster";
import type { NodeOptions } from "#actors/supervisor/node/node";
import { Problem } from "#protocol/problem";

const WAIT_MS_MAX = 10;
/** The deadlines of loading a model and of stopping one. */
const DEADLINE_MS = 30_000;

const hasty: Clock = {
  ...systemClock,
  after: (ms, run) => systemClock.after(ms < DEADLINE_MS ? Math.min(ms, WAIT_MS_MAX) : ms, run),
};

export const ground = (): ActorSystem => new ActorSystem("node", hasty);

/** As if the behaviour of that actor had thrown. */
export const crash = (system: ActorSystem, name: string): void =>
  system.fail(system.address(name), new Error("planted"));

export const clusterIn = (folder: string, troubled: (why: string) => void): ClusterOptions => ({
  identity: freshIdentity(),
  folder,
  name: "ada",
  version: "1.0.0",
  namespace: "default",
  port: 0,
  excludedInterfaces: [],
  peers: [],
  troubled,
});

/** A worker that loads for ever. */
const HANGS = [process.execPath, "-e", "setInterval(() => {}, 1000)"];

export const nodeOptions = (folder: string, crashed: (name: string) => void): NodeOptions => ({
  host: "127.0.0.1",
  port: 0,
  version: "1.0.0",
  nodeName: "ada",
  clock: hasty,
  worker: { command: HANGS, env: {} },
  idle: { afterMs: 600_000, kept: [] },
  libraryFolder: async () => folder,
  resolveModel: async (name) => ({ name, path: join(folder, name) }),
  findModel: async () => {
    throw new Problem("notFound", "no such model");
  },
  listModels: async () => [],
  modelsFolder: folder,
  crashed,
});

/** Twentyfold what any of it takes on a machine that does nothing else. */
const PATIENCE_MS = 60_000;

/** Looks again and again, and says what it saw last when it never came to be. */
export async function until<T>(look: () => T | Promise<T>, isSo: (seen: T) => boolean): Promise<T> {
  for (const startMs = performance.now(); ; ) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (performance.now() - startMs > PATIENCE_MS) throw new Error(`it stayed ${JSON.stringify(seen)}`);
    await Bun.sleep(1);
  }
}
