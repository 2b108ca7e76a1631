/** Whether a port can be had, and which process listens there, as far as the system says it to this user. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const HIGHEST_PORT = 65_535;
/** Programs that take the next one where theirs is taken stand in a row, which is short. */
const LOOKED_AT = 20;

/** The first one above `port` that this process may listen on now; 0 where none of the next few can be had. */
export function freePortAfter(host: string, port: number): number {
  const last = Math.min(port + LOOKED_AT, HIGHEST_PORT);
  for (let next = port + 1; next <= last; next++) if (isFree(host, next)) return next;
  return 0;
}

export function isFree(host: string, port: number): boolean {
  try {
    Bun.listen({ hostname: host, port, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}

/** `name (process 123)`, or undefined if the system does not say. */
export const listenerOf = (port: number): string | undefined =>
  process.platform === "linux" ? fromProc(port) : fromLsof(port);

/** Formats: proc(5), `/proc/net/tcp`, `/proc/pid/fd`. */
function fromProc(port: number): string | undefined {
  const inodes = new Set(["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) => listeningInodes(path, port)));
  if (inodes.size === 0) return undefined;
  const pid = entries("/proc").find((each) => /^\d+$/.test(each) && holdsOne(each, inodes));
  if (pid === undefined) return undefined;
  const name = quietly(() => readFileSync(`/proc/${pid}/comm`, "utf8").trim());
  return name === undefined ? `process ${pid}` : `${name} (process ${pid})`;
}

/** Fields of lsof's `-F`: `p` and the process id, `c` and the command. */
function fromLsof(port: number): string | undefined {
  const command = ["lsof", "-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fpc"];
  const lines = quietly(() => Bun.spawnSync(command).stdout.toString().split("\n")) ?? [];
  const field = (mark: string) => lines.find((line) => line.startsWith(mark))?.slice(1);
  const pid = field("p");
  return pid && `${field("c") ?? "a process"} (process ${pid})`;
}

const LISTEN = "0A";

function listeningInodes(path: string, port: number): readonly string[] {
  const lines =
    quietly(() => readFileSync(path, "utf8"))
      ?.split("\n")
      .slice(1) ?? [];
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  return lines.flatMap((line) => {
    const columns = line.trim().split(/\s+/);
    const [, local = "", , state] = columns;
    return state === LISTEN && local.endsWith(`:${wanted}`) ? [columns[9] ?? ""] : [];
  });
}

const holdsOne = (pid: string, inodes: ReadonlySet<string>): boolean =>
  entries(`/proc/${pid}/fd`).some((fd) => {
    const inode = /^socket:\[(\d+)\]$/.exec(quietly(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? "")?.[1];
    return inode !== undefined && inodes.has(inode);
  });

const entries = (folder: string): readonly string[] => quietly(() => readdirSync(folder)) ?? [];

/** Processes end, and others' are closed to us: then it is simply not known. */
function quietly<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
