import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { freeMemory } from "./memory.ts";

/** Free memory of a machine whose files say this. */
function freeWith(files: Readonly<Record<string, string>>): number {
  const root = mkdtempSync(join(tmpdir(), "exo-memory-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return freeMemory(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

const meminfo = { "proc/meminfo": "MemTotal:       24684092 kB\nMemFree: 5 kB\nMemAvailable:   2000 kB\n" };
const group = { "proc/self/cgroup": "0::/user.slice/exo.service\n" };
const within = "sys/fs/cgroup/user.slice";

test.each([
  ["a machine that says nothing has no bound", {}, Number.POSITIVE_INFINITY],
  ["what the machine has, with what it would give up", meminfo, 2_048_000],
  [
    "a limit of the process's group, less what is in use and more what is idle",
    {
      ...meminfo,
      ...group,
      [`${within}/exo.service/memory.max`]: "1000000\n",
      [`${within}/exo.service/memory.current`]: "700000\n",
      [`${within}/exo.service/memory.stat`]: "anon 1\ninactive_file 50000\nactive_file 7\n",
    },
    350_000,
  ],
  [
    "a limit of a group around it",
    {
      ...meminfo,
      ...group,
      [`${within}/exo.service/memory.max`]: "max\n",
      [`${within}/exo.service/memory.current`]: "700000\n",
      [`${within}/memory.max`]: "900000\n",
      [`${within}/memory.current`]: "890000\n",
    },
    10_000,
  ],
  [
    "a container's own group, which is the mount",
    {
      ...meminfo,
      "proc/self/cgroup": "0::/docker/1234\n",
      "sys/fs/cgroup/memory.max": "500\n",
      "sys/fs/cgroup/memory.current": "600\n",
    },
    0,
  ],
  [
    "a group of version 1",
    {
      ...meminfo,
      "proc/self/cgroup": "5:cpu:/\n4:memory:/box\n0::/\n",
      "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
      "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
      "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "300000\n",
      "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "200000\n",
      "sys/fs/cgroup/memory/box/memory.stat": "total_inactive_file 1000\n",
    },
    101_000,
  ],
  [
    "the process's own limit",
    {
      ...meminfo,
      "proc/self/limits":
        "Limit  Soft Limit  Hard Limit  Units\nMax data size             600000     unlimited   bytes\n",
      "proc/self/status": "VmData:\t     500 kB\n",
    },
    88_000,
  ],
  [
    "no limit is no bound",
    { ...meminfo, "proc/self/limits": "Max data size             unlimited            unlimited   bytes\n" },
    2_048_000,
  ],
] satisfies [string, Record<string, string>, number][])("%s", (_, files, free) => {
  expect(freeWith(files)).toBe(free);
});
