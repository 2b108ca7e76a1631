/** The word that makes this program a worker's process: exo starts it so itself; the worker's arguments follow. */
export const WORKER_ROLE = "__worker";
/** The word that makes it do one step of the proof of a code, and end. */
export const PAKE_ROLE = "__pake";
