/** Who listens on a port of this machine, for the message that says it is taken. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** `python3 (pid 4711)`, or nothing when the system does not tell. */
export function portHolder(port: number): string | undefined {
  try {
    return process.platform === "linux" ? fromProc(port) : fromLsof(port);
  } catch {
    return undefined; // no right to look, or no such tool: the message goes without a name
  }
}

/** Columns: https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html */
function fromProc(port: number): string | undefined {
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  const rows = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) => readFileSync(file, "utf8").split("\n"));
  const cells = rows.map((row) => row.trim().split(/\s+/));
  const listening = cells.find(([, local, , state]) => local?.endsWith(`:${hexPort}`) && state === "0A");
  const socket = listening && `socket:[${listening[9]}]`;
  const pid = socket && readdirSync("/proc").find((entry) => /^\d+$/.test(entry) && holds(entry, socket));
  return pid ? `${readFileSync(`/proc/${pid}/comm`, "utf8").trim()} (pid ${pid})` : undefined;
}

function holds(pid: string, socket: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === socket);
  } catch {
    return false; // another user's process, or one that has just ended
  }
}

/** Fields of `-F`: `p` and the process id, `c` and the command. */
function fromLsof(port: number): string | undefined {
  const { stdout } = Bun.spawnSync(["lsof", "-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fpc"]);
  const lines = stdout.toString().split("\n");
  const field = (mark: string) => lines.find((line) => line.startsWith(mark))?.slice(1);
  const pid = field("p");
  return pid ? `${field("c") ?? "a process"} (pid ${pid})` : undefined;
}
