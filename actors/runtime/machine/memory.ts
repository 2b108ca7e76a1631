/** How much of the machine's memory there is for this process, and what it may still take. */
import { readText } from "./system-files.ts";

/**
 * Bytes that are left: of the machine (caches that it would give up count as free), of every control group around this process,
 * and of its own limit (`ulimit -d`). Infinity where the system does not say: macOS gives a process more than it has. Files are
 * those of proc(5), https://docs.kernel.org/admin-guide/cgroup-v2.html and cgroup-v1/memory.html; `root` is for tests.
 */
export function freeMemory(root = "/"): number {
  const read = reader(root);
  const available = kilobytes(read("proc/meminfo"), "MemAvailable");
  const groups = groupsOf(read, leftOfGroup, leftOfOldGroup);
  return Math.min(available ?? Number.POSITIVE_INFINITY, leftOfLimit(read), ...groups);
}

/** Bytes of the machine, or of the smallest limit around this process; Infinity where the system does not say. */
export function totalMemory(root = "/"): number {
  const read = reader(root);
  const total = kilobytes(read("proc/meminfo"), "MemTotal");
  return Math.min(total ?? Number.POSITIVE_INFINITY, ...groupsOf(read, limitOfGroup, limitOfOldGroup));
}

type Read = (path: string) => string;

const reader =
  (root: string): Read =>
  (path) =>
    readText(`${root}/${path}`) ?? "";

function kilobytes(text: string, name: string): number | undefined {
  const [, amount] = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text) ?? [];
  return amount === undefined ? undefined : Number(amount) * 1024;
}

function leftOfLimit(read: Read): number {
  const [, limit] = /^Max data size\s+(\d+)/m.exec(read("proc/self/limits")) ?? [];
  if (limit === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(0, Number(limit) - (kilobytes(read("proc/self/status"), "VmData") ?? 0));
}

type OfGroup = (read: Read, group: string) => number;

/** Of the groups along the process's paths, and of the mounts themselves: in a container these are its own group. */
function groupsOf(read: Read, ofGroup: OfGroup, ofOldGroup: OfGroup): number[] {
  return read("proc/self/cgroup")
    .split("\n")
    .flatMap((line) => {
      const [, controllers = "", path = ""] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
      if (path === "") return [];
      const parts = path.split("/").filter((part) => part !== "");
      const groups = parts.map((_, depth) => parts.slice(0, depth + 1).join("/"));
      if (controllers === "") return ["", ...groups].map((group) => ofGroup(read, `sys/fs/cgroup/${group}`));
      if (!controllers.split(",").includes("memory")) return [];
      return ["", ...groups].map((group) => ofOldGroup(read, `sys/fs/cgroup/memory/${group}`));
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

/** A group of version 1 without a limit shows the largest whole number of pages. */
const LIMIT_MAX = 2 ** 60;

const limitIn = (text: string): number =>
  /^\d+\s*$/.test(text) && Number(text) < LIMIT_MAX ? Number(text) : Number.POSITIVE_INFINITY;

const limitOfGroup = (read: Read, group: string): number => limitIn(read(`${group}/memory.max`));

const limitOfOldGroup = (read: Read, group: string): number =>
  limitIn(read(`${group}/memory.limit_in_bytes`));
