/** Memory for keys and values to come. MLX does not look whether there is any, and a system that has none ends the process. */
import { Problem } from "#protocol/problem";
import { roundUp } from "../cache/held-rows.ts";
import { inUnits } from "../weights/download.ts";

/** What a unit of work needs besides: activations, and what else the machine does meanwhile. */
const SPARE_BYTES = 128e6;

export interface RoomPorts {
  readonly freeBytes: () => number;
  /** Gives up what is kept for requests to come. */
  readonly relieve: () => void;
}

/**
 * Throws Problem `doesNotFit` where the next `tokens` of a sequence make its caches grow by more than there is. Caches grow in
 * steps, and nothing is asked between two steps; how much a first step takes is not known before it.
 */
export function requireRoom(
  { held, nbytes }: { readonly held: number; readonly nbytes: number },
  tokens: number,
  { freeBytes, relieve }: RoomPorts,
): void {
  const rows = roundUp(held + tokens) - roundUp(held);
  if (rows === 0 || held === 0) return;
  // A cache that grows is copied, layer by layer.
  const needed = (nbytes / roundUp(held)) * rows;
  if (freeBytes() >= needed + SPARE_BYTES) return;
  relieve();
  const free = freeBytes();
  if (free >= needed + SPARE_BYTES) return;
  throw new Problem(
    "doesNotFit",
    `${rows} more tokens of context take ${inUnits(needed)} beside ${inUnits(SPARE_BYTES)} to work in, and ${inUnits(free)} of memory are free`,
    { remedy: "ask for less at a time, unload other models (exo stop), or close other programs" },
  );
}

/** Throws Problem `doesNotFit` where weights take more memory than there is. */
export function requireRoomForWeights(model: string, bytes: number, free: number): void {
  if (free >= bytes + SPARE_BYTES) return;
  throw new Problem(
    "doesNotFit",
    `${model} takes ${inUnits(bytes)} beside ${inUnits(SPARE_BYTES)} to work in, and ${inUnits(free)} of memory are free`,
    {
      remedy:
        "unload other models (exo stop), close other programs, or choose a smaller model or quantisation",
    },
  );
}
