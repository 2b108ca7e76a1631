/** What one client, and all of them, may take of the gateway. */

/** Images in a body are base64; a conversation with some of them fits. */
export const BODY_BYTES_MAX = 64 * 1024 * 1024;
/** Bodies of exo's own commands: a name and a few flags. */
export const COMMAND_BYTES_MAX = 1024 * 1024;
/** From the last byte of the headers to the last of the body, however slowly it comes. */
export const BODY_MS = 30_000;
/** Levels of lists and objects inside each other; a chat with tools and their schemas has about 20. */
export const JSON_DEPTH_MAX = 64;
/** Values in one body: a batch of token ids for the longest context has a few hundred thousand. */
export const JSON_VALUES_MAX = 4_000_000;
/**
 * Between two requests of one connection, which is also the time for the next one's headers. Bun looks every four seconds,
 * so it ends after 4 to 8; the first headers of a connection have 10 to 12, which Bun does not let us choose.
 */
export const IDLE_SECONDS = 5;
/** A reader that takes nothing of an answer for so long is gone. A living stream says a word more often. */
export const STALL_SECONDS = 30;
/** Wrong keys from one address within `FAILURES_MS`; after them it waits. */
export const FAILURES_MAX = 10;
export const FAILURES_MS = 60_000;
/** Addresses whose failures are remembered; the oldest is forgotten first. */
export const FAILING_MAX = 4096;
/** Requests at once from one address of the network, and from all. Programs of this machine are bounded by the queue alone. */
export const REQUESTS_PER_ADDRESS = 64;
export const NETWORK_REQUESTS = 512;
/** How long a stream may outlive the key that opened it. */
export const REVOKED_MS = 500;
/** How long answers in flight may go on once the server is told to stop. */
export const DRAIN_MS = 30_000;
