/** A group of processes that together get so much memory and no more (cgroups, version 1: kernel.org/doc/Documentation/cgroup-v1/memory.txt). */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = "/sys/fs/cgroup/memory";

export interface MemoryGroup extends Disposable {
  /** From now on these may take so much more than they have, pages of files that nobody used for a while not counted. */
  leave(bytes: number): void;
}

/** Whether this machine allows it. */
export const mayBoundMemory = (): boolean =>
  existsSync(join(ROOT, "memory.limit_in_bytes")) && process.getuid?.() === 0;

/** Of that process, and all that it starts from now on. */
export function memoryGroupOf(pid: number): MemoryGroup {
  const folder = join(ROOT, `exo-test-${pid}`);
  mkdirSync(folder);
  writeFileSync(join(folder, "cgroup.procs"), String(pid));
  const read = (file: string) => readFileSync(join(folder, file), "utf8");
  return {
    leave(bytes) {
      const [, idle = "0"] = /^total_inactive_file (\d+)$/m.exec(read("memory.stat")) ?? [];
      const used = Number(read("memory.usage_in_bytes")) - Number(idle);
      writeFileSync(join(folder, "memory.limit_in_bytes"), String(Math.round(used + bytes)));
    },
    [Symbol.dispose]() {
      for (const each of read("cgroup.procs").split("\n")) if (each !== "") moveOut(each);
      removed(folder);
    },
  };
}

/** A process that was moved out and is just ending counts for a moment yet. */
const ENDING_TRIES = 500;

function removed(folder: string): void {
  for (let tries = 1; ; tries++) {
    try {
      rmdirSync(folder);
      return;
    } catch (error) {
      const isBusy = error instanceof Error && "code" in error && error.code === "EBUSY";
      if (!isBusy || tries === ENDING_TRIES) throw error;
      Bun.sleepSync(10);
    }
  }
}

function moveOut(pid: string): void {
  try {
    writeFileSync(join(ROOT, "cgroup.procs"), pid);
  } catch (error) {
    // It has ended meanwhile.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
