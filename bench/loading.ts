/** Models as a worker loads them, in this process: whole, or some of their layers. */
import type { Clock } from "#actors/runtime/clock";
import { type Loaded, loadShard } from "#actors/shard-worker/loading";
import { builtFolder } from "#ffi/built-library";
import { modelPath } from "./models.ts";

/** Nothing of what is measured waits for a timer. */
const clock: Clock = {
  nowMs: () => performance.now(),
  epochSeconds: () => 0,
  after: () => () => {},
  freshId: () => "id",
};

export interface LoadedHere {
  readonly path: string;
  /** Of these layers; all where none are named. */
  load(layers?: { readonly start: number; readonly end: number }): Loaded;
}

/** The model of a name of bench/models.ts, or at a path. */
export async function modelHere(name: string, contextLength: number): Promise<LoadedHere> {
  const path = await modelPath(name);
  const load = (layers?: { readonly start: number; readonly end: number }) =>
    loadShard({ model: name, path, contextLength, ...(layers && { layers }) }, builtFolder, clock, () => {});
  return { path, load };
}
