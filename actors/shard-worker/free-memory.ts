/** What this process may still take of the machine's memory. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Bytes that are left: of the machine (caches that it would give up count as free), of every control group around this process,
 * and of its own limit (`ulimit -d`). Infinity where the system does not say: macOS gives a process more than it has. Files are
 * those of proc(5), https://docs.kernel.org/admin-guide/cgroup-v2.html and cgroup-v1/memory.html; `root` is for tests.
 */
export function freeMemory(root = "/"): number {
  const read = (path: string): string =>
    existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : "";
  const available = kilobytes(read("proc/meminfo"), "MemAvailable");
  return Math.min(available ?? Number.POSITIVE_INFINITY, leftOfLimit(read), ...leftOfGroups(read));
}

type Read = (path: string) => string;

function kilobytes(text: string, name: string): number | undefined {
  const [, amount] = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text) ?? [];
  return amount === undefined ? undefined : Number(amount) * 1024;
}

function leftOfLimit(read: Read): number {
  const [, limit] = /^Max data size\s+(\d+)/m.exec(read("proc/self/limits")) ?? [];
  if (limit === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(0, Number(limit) - (kilobytes(read("proc/self/status"), "VmData") ?? 0));
}

/** Of the groups along the process's paths, and of the mounts themselves: in a container these are its own group. */
function leftOfGroups(read: Read): number[] {
  return read("proc/self/cgroup")
    .split("\n")
    .flatMap((line) => {
      const [, controllers = "", path = ""] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
      if (path === "") return [];
      const parts = path.split("/").filter((part) => part !== "");
      const groups = parts.map((_, depth) => parts.slice(0, depth + 1).join("/"));
      if (controllers === "")
        return ["", ...groups].map((group) => leftOfGroup(read, `sys/fs/cgroup/${group}`));
      if (!controllers.split(",").includes("memory")) return [];
      return ["", ...groups].map((group) => leftOfOldGroup(read, `sys/fs/cgroup/memory/${group}`));
    });
}

/** Pages of files that nobody has used for a while are given up before a limit is reached. */
const idlePages = (stat: string, name: string): number =>
  Number(new RegExp(`^${name} (\\d+)$`, "m").exec(stat)?.[1] ?? 0);

const left = (limit: string, used: string, idle: number): number =>
  /^\d+\s*$/.test(limit) && used !== ""
    ? Math.max(0, Number(limit) - Number(used) + idle)
    : Number.POSITIVE_INFINITY;

const leftOfGroup = (read: Read, group: string): number =>
  left(
    read(`${group}/memory.max`),
    read(`${group}/memory.current`),
    idlePages(read(`${group}/memory.stat`), "inactive_file"),
  );

const leftOfOldGroup = (read: Read, group: string): number =>
  left(
    read(`${group}/memory.limit_in_bytes`),
    read(`${group}/memory.usage_in_bytes`),
    idlePages(read(`${group}/memory.stat`), "total_inactive_file"),
  );
