/** Hidden state between two stages: raw, little endian, row-major, in the type that the sender computes in. */
import { BODY_FRAME_BYTES_MAX } from "#actors/runtime/transport/framing";
import type { Dtype } from "#ffi/array";
import type { HiddenType } from "#protocol/pass";

/** What a stage that computes in `dtype` sends. */
export const hiddenTypeOf = (dtype: Dtype): HiddenType =>
  dtype === "float16" || dtype === "bfloat16" ? dtype : "float32";

export const hiddenBytes = (type: HiddenType): number => (type === "float32" ? 4 : 2);

/** Left of a frame's bytes for the pass itself: 1,024 operations of at most 60 bytes each, and feeds that are fewer. */
const PASS_BYTES = 1024 * 1024;

/** Rows of so many values that one frame has room for, whatever type they are sent in. */
export const hiddenRowsMax = (width: number): number =>
  Math.floor((BODY_FRAME_BYTES_MAX - PASS_BYTES) / (width * hiddenBytes("float32")));

/** The values as bytes; those of a 16-bit type were widened when they were read, so that nothing is lost. Float32 bytes are the values' own. */
export function packHidden(values: Float32Array, type: HiddenType): Uint8Array {
  const packed =
    type === "float32" ? values : type === "float16" ? new Float16Array(values) : upperHalves(values);
  return new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength);
}

/** The inverse of `packHidden`; the bytes are not kept. */
export function unpackHidden(bytes: Uint8Array, type: HiddenType): Float32Array {
  const size = hiddenBytes(type);
  // A view needs whole values at a place that its type may lie; a Buffer's own slice would be no copy.
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  const length = bytes.byteLength / size;
  if (type === "float32") return new Float32Array(buffer, byteOffset, length);
  if (type === "float16") return new Float32Array(new Float16Array(buffer, byteOffset, length));
  const halves = new Uint16Array(buffer, byteOffset, length);
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

/** bfloat16 is the upper half of a float32. */
function upperHalves(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) halves[i] = (bits[i] ?? 0) >>> 16;
  return halves;
}

/** Of float32 the largest; what is half a step above the largest of the others (65,504 and 3.39e38) is infinite in them. */
const MAGNITUDES: Readonly<Record<HiddenType, number>> = {
  float32: 3.4028234663852886e38,
  float16: 65_519,
  bfloat16: 3.396e38,
};

/** Whether all are numbers, also in the type of who takes them: a stage computes with nothing else (reliability.md T32). */
export function areFinite(values: Float32Array, type: HiddenType = "float32"): boolean {
  const most = MAGNITUDES[type];
  // Nothing is at most as large that is no number.
  for (let i = 0; i < values.length; i++) if (!(Math.abs(values[i] ?? 0) <= most)) return false;
  return true;
}
