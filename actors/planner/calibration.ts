/** Which layers of a model are timed before it is placed. */
import type { ModelShape } from "#protocol/model-shape";
import type { LayerRange } from "#protocol/shard";

/** Past the caches of most processors, so that memory is what is timed, and read from a disk in about a second. */
const MEASURED_BYTES = 256e6;

/** The last layers, with the head, of so many bytes; all of a model that is smaller. */
export function layersToMeasure({ layers, headBytes }: ModelShape): LayerRange {
  let bytes = headBytes;
  let start = layers.length;
  while (start > 0 && (bytes < MEASURED_BYTES || start === layers.length)) {
    start -= 1;
    bytes += layers[start]?.bytes ?? 0;
  }
  return { start, end: layers.length };
}
