/** Asks a daemon of this machine over its Unix socket. */
import { existsSync } from "node:fs";

/** Tailscale's, on Linux and on macOS; the sandboxed macOS app has none. */
const TAILSCALE = ["/var/run/tailscale/tailscaled.sock", "/var/run/tailscaled.socket"];
const ANSWER_MS = 2000;
/** A status of hundreds of machines; nothing larger is read. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

/** The status of the tailnet that this machine is in (LocalAPI, as its own command line asks it); undefined where there is none. */
export async function tailnetStatus(sockets: readonly string[] = TAILSCALE): Promise<unknown> {
  const unix = sockets.find((path) => existsSync(path));
  if (unix === undefined) return undefined;
  try {
    const url = "http://local-tailscaled.sock/localapi/v0/status";
    const answer = await fetch(url, { unix, signal: AbortSignal.timeout(ANSWER_MS) });
    if (!answer.ok || Number(answer.headers.get("content-length") ?? 0) > ANSWER_BYTES_MAX) return undefined;
    return await answer.json();
  } catch {
    return undefined; // Stopped, another user's, or no JSON: then this machine has no tailnet for us.
  }
}
