/** Which machines of a home are there, or may be in a moment. Pure. */
import type { NodeView } from "#protocol/cluster";

/** Facts and links of a machine that was linked just now are known a moment later; one that has too much to do is back as soon. */
export const SETTLED_MS = 5_000;

export const isUp = ({ state }: NodeView): boolean => state === "self" || state === "up";

/**
 * Not heard of yet, or not for a moment: on machines that have much to do a process falls silent, and speaks again. One that only others
 * hear is missed for longer.
 */
export const isBackSoon = ({ state, silentMs }: NodeView): boolean =>
  state === "connecting" ||
  state === "stuck" ||
  (state === "suspect" && (silentMs ?? 0) < SETTLED_MS) ||
  (state === "dead" && (silentMs ?? SETTLED_MS) < SETTLED_MS);
