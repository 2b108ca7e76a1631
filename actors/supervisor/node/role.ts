/** The word that makes this program a worker's process: exo starts it so itself; the worker's arguments follow. */
export const WORKER_ROLE = "__worker";
