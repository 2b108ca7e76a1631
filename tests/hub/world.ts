/** A machine with an empty disk, a clock that waits for nothing and a hub of its own. */
import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "#actors/runtime/clock";
import { STALL_MS } from "#actors/shard-worker/weights/hub-request";
import { type PullEvent, type PullOptions, pull } from "#actors/shard-worker/weights/pull";
import type { Alias, Places } from "#actors/shard-worker/weights/store-places";
import { Problem } from "#protocol/problem";
import { startHub, type TestHub, type TestRepository } from "./test-hub.ts";

export interface World {
  readonly hub: TestHub;
  readonly root: string;
  readonly hubFolder: string;
  readonly places: Places;
  /** Milliseconds that were waited between attempts. */
  readonly waits: number[];
  readonly events: PullEvent[];
  readonly options: PullOptions;
  pull(name: string, more?: Partial<PullOptions>): Promise<string>;
  /** The Problem that a pull ends with, as one line. */
  refusal(name: string, more?: Partial<PullOptions>): Promise<string>;
  /** Paths asked of either server, in order. */
  asked(): string[];
  close(): Promise<void>;
}

const aliases: readonly Alias[] = [
  { name: "tiny", aliases: ["tiny:1b"], repositories: ["mlx/tiny-4bit", "org/tiny"] },
  { name: "tiny-8b", aliases: [], repositories: ["mlx/tiny-8b-4bit"] },
];

export async function world(repositories: Record<string, TestRepository>): Promise<World> {
  const hub = await startHub(repositories);
  const root = await mkdtemp(join(tmpdir(), "exo-hub-"));
  const hubFolder = join(root, "hub");
  const waits: number[] = [];
  const events: PullEvent[] = [];
  const places: Places = {
    hubFolders: [hubFolder],
    modelFolders: [join(root, "models")],
    extraModelFolders: [join(root, "bundled")],
    aliases,
    cwd: root,
    home: root,
  };
  const options: PullOptions = {
    hub: { endpoint: hub.url, offline: false },
    places,
    ports: { fetch, clock: impatient(waits), freeBytes: async () => 1e12 },
    onProgress: (event) => events.push(event),
  };
  return {
    hub,
    root,
    hubFolder,
    places,
    waits,
    events,
    options,
    pull: async (name, more) => (await pull(name, { ...options, ...more })).path,
    refusal: (name, more) => refusalOf(pull(name, { ...options, ...more })),
    asked: () => hub.seen.map(({ at, path, range }) => `${at} ${path}${range ? ` ${range}` : ""}`),
    async close() {
      await hub.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

export async function refusalOf(work: Promise<unknown>): Promise<string> {
  try {
    return `no problem: ${JSON.stringify(await work)}`;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return `${error.kind}: ${error.message} | ${error.remedy ?? ""}`;
  }
}

/** Time that passes only by being waited for; the watch on silent connections goes off when a test says so. */
export function impatient(waits: number[]): Clock {
  let now = 0;
  return {
    nowMs: () => now,
    epochSeconds: () => 1_700_000_000 + now / 1000,
    after(ms, run) {
      if (ms === STALL_MS) return () => undefined;
      const turn = setImmediate(() => {
        waits.push(ms);
        now += ms;
        run();
      });
      return () => clearImmediate(turn);
    },
    freshId: () => "id",
  };
}

/** A clock on which each look is a second after the last, so that no progress is too soon to be told. */
export function hasty(clock: Clock): Clock {
  let now = 0;
  return { ...clock, nowMs: () => (now += 1000) };
}

/** Every file under a folder with its text or, for a link, what it points to. */
export async function tree(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found: Record<string, string> = {};
  for (const entry of entries.sort((a, b) => a.name.localeCompare(b.name))) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length + 1);
    if (entry.isSymbolicLink()) found[name] = `-> ${await readlink(path)}`;
    else if (entry.isFile()) found[name] = await readFile(path, "latin1");
  }
  return found;
}
