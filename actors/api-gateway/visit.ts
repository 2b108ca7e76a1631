/** One request from its arrival to the last byte of its answer: who sent it, and what ends it. */
import type { ApiKey } from "#protocol/api-key";
import { clientOf, isLoopback } from "./addresses.ts";
import type { Access, Auth } from "./auth.ts";
import { Crowd } from "./crowd.ts";
import { IDLE_SECONDS, REVOKED_MS, STALL_SECONDS } from "./limits.ts";
import type { GatewayPorts } from "./ports.ts";

/** The connection that a request came by. */
export interface Connection {
  /** Where the client is; undefined: in this process. */
  readonly address?: string | undefined;
  /** Ends the connection when nothing moves on it for so long; 0: never. */
  idle(seconds: number): void;
}

export interface Visit {
  readonly id: string;
  /** Aborted when the client goes, and when the key that it came with is revoked. */
  readonly signal: AbortSignal;
  /** Throws a Problem when the client may not do that. */
  admit(access: Access): void;
  /** The answer is a stream: the visit lasts until the returned function is called. */
  streams(): () => void;
  /** The answer is there; a stream goes on. */
  answered(): void;
}

/** Opens visits. Throws a Problem when there are too many. */
export function visits(
  keys: Auth,
  { after, newId }: Pick<GatewayPorts, "after" | "newId">,
  stallSeconds = STALL_SECONDS,
) {
  const crowd = new Crowd();
  const watch = revocations(keys, after);

  return function visit(request: Request, { address, idle }: Connection): Visit {
    const client = address === undefined ? LOCAL : clientOf(address);
    const leave = isLoopback(client) ? () => {} : crowd.enter(client);
    const cut = new AbortController();
    const ends = [leave];
    let streaming = false;
    const end = () => {
      idle(IDLE_SECONDS);
      for (const each of ends.splice(0)) each();
    };
    idle(0); // what comes next has deadlines of its own
    let id: string | undefined;
    return {
      get id() {
        id ??= newId();
        return id;
      },
      signal: AbortSignal.any([request.signal, cut.signal]),
      admit(access) {
        const { key } = keys.admit(request, access, client);
        if (key) ends.push(watch(key, () => cut.abort()));
      },
      streams() {
        streaming = true;
        idle(stallSeconds);
        return end;
      },
      answered() {
        if (!streaming) end();
      },
    };
  };
}

const LOCAL = "127.0.0.1";

/** Looks again at the keys of requests in flight, as long as there are any. */
function revocations({ holds }: Auth, after: GatewayPorts["after"]) {
  const watched = new Set<{ readonly key: ApiKey; readonly cut: () => void }>();
  let cancelTimer: (() => void) | undefined;

  function look(): void {
    cancelTimer = undefined;
    for (const each of watched) {
      if (stillHolds(each.key)) continue;
      watched.delete(each);
      each.cut();
    }
    if (watched.size > 0) cancelTimer = after(REVOKED_MS, look);
  }

  /** Keys that cannot be read are no keys. */
  function stillHolds(key: ApiKey): boolean {
    try {
      return holds(key);
    } catch {
      return false;
    }
  }

  return (key: ApiKey, cut: () => void): (() => void) => {
    const entry = { key, cut };
    watched.add(entry);
    cancelTimer ??= after(REVOKED_MS, look);
    return () => {
      watched.delete(entry);
      if (watched.size > 0) return;
      cancelTimer?.();
      cancelTimer = undefined;
    };
  };
}
