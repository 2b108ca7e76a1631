/**
 * A group of processes that together get so much of the machine and no more (cgroups: v1's `cpu` controller by
 * https://docs.kernel.org/scheduler/sched-bwc.html, v2's `cpu.max` by https://docs.kernel.org/admin-guide/cgroup-v2.html).
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const V1 = "/sys/fs/cgroup/cpu";
const V2 = "/sys/fs/cgroup";
/** The kernel's own default. */
const PERIOD_US = 100_000;

export interface QuotaGroup extends Disposable {
  /** From now on; no call, no bound. */
  bound(cores: number): void;
  /** Periods in which somebody had to wait for the next one, of all. */
  throttled(): { readonly periods: number; readonly throttled: number };
}

/** Puts this process, and so all that it starts from now on, into a group of its own. Throws where the machine does not allow that. */
export function enterQuotaGroup(name: string): QuotaGroup {
  const isV1 = existsSync(join(V1, "cpu.cfs_quota_us")) || existsSync(join(V1, "cgroup.procs"));
  const root = isV1 ? V1 : V2;
  const folder = join(root, name);
  mkdirSync(folder);
  const write = (file: string, text: string) => writeFileSync(join(folder, file), text);
  write("cgroup.procs", String(process.pid));
  return {
    bound(cores) {
      const quotaUs = Math.round(cores * PERIOD_US);
      if (!isV1) return write("cpu.max", `${quotaUs} ${PERIOD_US}`);
      write("cpu.cfs_period_us", String(PERIOD_US));
      write("cpu.cfs_quota_us", String(quotaUs));
    },
    throttled() {
      const text = readFileSync(join(folder, "cpu.stat"), "utf8");
      const count = (key: string) => Number(new RegExp(`^${key} (\\d+)`, "m").exec(text)?.[1] ?? 0);
      return { periods: count("nr_periods"), throttled: count("nr_throttled") };
    },
    [Symbol.dispose]() {
      for (const pid of readFileSync(join(folder, "cgroup.procs"), "utf8").split("\n"))
        if (pid !== "") writeFileSync(join(root, "cgroup.procs"), pid);
      rmdirSync(folder);
    },
  };
}
