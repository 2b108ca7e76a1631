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

export class Room {
  readonly #ports: RoomPorts;
  /** The least that a row of any sequence took so far: of one that was cut the room for what it had counts too. */
  #rowBytes = Number.POSITIVE_INFINITY;

  constructor(ports: RoomPorts) {
    this.#ports = ports;
  }

  /**
   * Throws Problem `doesNotFit` where the next `tokens` of a sequence make its caches grow by more than there is. Caches grow in
   * steps, and nothing is asked between two steps. What a first step takes is known from other sequences' alone, and it needs no
   * spare: a machine that has little left answers what is short.
   */
  require({ held, nbytes }: { readonly held: number; readonly nbytes: number }, tokens: number): void {
    if (held > 0) this.#rowBytes = Math.min(this.#rowBytes, nbytes / roundUp(held));
    const rows = roundUp(held + tokens) - roundUp(held);
    if (rows === 0) return;
    // A cache that grows is copied, layer by layer.
    const first = Number.isFinite(this.#rowBytes) ? this.#rowBytes : 0;
    const needed = (held > 0 ? nbytes / roundUp(held) : first) * rows;
    const spare = held > 0 ? SPARE_BYTES : 0;
    const { freeBytes, relieve } = this.#ports;
    if (needed === 0 || freeBytes() >= needed + spare) return;
    relieve();
    const free = freeBytes();
    if (free >= needed + spare) return;
    const beside = spare > 0 ? ` beside ${inUnits(spare)} to work in` : "";
    throw new Problem(
      "doesNotFit",
      `${rows} more tokens of context take ${inUnits(needed)}${beside}, and ${inUnits(free)} of memory are free`,
      { remedy: "ask for less at a time, unload other models (exo stop), or close other programs" },
    );
  }
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
