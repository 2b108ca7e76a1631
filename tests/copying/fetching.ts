/** For tests: bob fetches a model of machines that have it, over links that a test can break. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#actors/runtime/clock";
import type { Link } from "#actors/runtime/transport/network";
import { viewCheckpoint } from "#actors/shard-worker/weights/checkpoint-view";
import { type Fetching, type FetchPorts, fetchModel } from "#actors/supervisor/copying/fetch";
import { Sources } from "#actors/supervisor/copying/source";
import { ADA, BOB, CID, linkOf, type Way, written } from "./two-machines.ts";

export const whole: Way = (_, bytes) => bytes;

export const sourceOf = (path: string): ((link: Link) => void) => {
  const sources = new Sources({ self: ADA, clock: systemClock, find: async () => ({ name: "m", path }) });
  return (link) => sources.take(link);
};

type Needed = Required<Pick<Tried, "source" | "digest">>;

interface Tried extends Partial<Pick<Fetching, "layers" | "digest" | "signal" | "progress">> {
  readonly way?: Way;
  readonly freeBytes?: number;
  /** In place of the true one. */
  readonly source?: (link: Link) => void;
  /** In place of ada alone, asked in this order. */
  readonly sources?: readonly (readonly [(link: Link) => void, Way])[];
}

/** Ada's disk with the model, to be deleted at the end, and bob's folders. */
export async function homes() {
  const home = mkdtempSync(join(tmpdir(), "exo-copying-"));
  const model = written(join(home, "ada", "m"));
  const { digest } = await viewCheckpoint(model);
  return {
    home,
    model,
    digest,
    weights: weightsIn(model),
    fresh: (name: string) => join(home, name, "models"),
    tried: (folder: string, asked: Tried) =>
      tried(folder, { source: sourceOf(model), digest: digest.whole, ...asked }),
    end: () => rmSync(home, { recursive: true }),
  };
}

/** What bob gets of ada: where it lies then, or why it does not. */
async function tried(
  folder: string,
  { way = whole, freeBytes = 1e12, source, sources = [[source, way]], ...asked }: Tried & Needed,
): Promise<string> {
  const ports: FetchPorts = {
    self: BOB,
    // No test waits for a pause.
    clock: { ...systemClock, after: (ms, run) => systemClock.after(ms > 10_000 ? ms : 0, run) },
    sources: () => [ADA, CID].slice(0, sources.length),
    nameOf: (node) => node,
    dial: async (node) => {
      const [taken, along] = sources[node === ADA ? 0 : 1] ?? [source, way];
      const [near, far] = linkOf(along);
      taken(far);
      return near;
    },
    modelsFolder: folder,
    freeBytes: async (path) => (await readdir(path)) && freeBytes,
  };
  const fetching = {
    model: "m",
    signal: new AbortController().signal,
    progress: () => {},
    ...asked,
  };
  return await fetchModel(ports, fetching).catch(
    (error: unknown) => `${(error as { kind?: string }).kind ?? "no problem"}: ${(error as Error).message}`,
  );
}

export const weightsIn = (path: string): Buffer => readFileSync(join(path, "model.safetensors"));
