/** Whether this machine has memory for a model. */
import { freeMemory } from "#actors/runtime/machine/memory";
import { readCheckpoint } from "#actors/shard-worker/weights/checkpoint";

/** As the engine keeps free to work in beside weights. */
const SPARE_BYTES = 128e6;

/** Of the weights at that path, in what is free now and in so many bytes more. Throws Problem where there is no model. */
export const fitsHere = (path: string, freedBytes: number): boolean =>
  readCheckpoint(path).facts.weightBytes + SPARE_BYTES <= freeMemory() + freedBytes;
