/** The word that makes this program a worker's process: exo starts it so itself; the worker's arguments follow. */
export const WORKER_ROLE = "__worker";
/** The word that makes it do one step of cryptography that needs large packages, and end. */
export const STEP_ROLE = "__step";
