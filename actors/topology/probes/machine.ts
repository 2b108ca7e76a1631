/** The operating system as probes see it: a port, so that recorded files and outputs of any machine can stand for it. */

import { statfs } from "node:fs/promises";
import { freemem, networkInterfaces, cpus as processorList, totalmem } from "node:os";
import { freeMemory, totalMemory } from "#actors/runtime/machine/memory";
import { listFolder, readText } from "#actors/runtime/machine/system-files";
import { runCommand } from "./command.ts";

/** One address of one interface, as the system lists them. */
export interface LocalAddress {
  readonly interface: string;
  readonly address: string;
  /** IPv4 `255.255.255.0`, IPv6 `ffff:ffff::`. */
  readonly netmask: string;
  readonly internal: boolean;
}

/** Processor time since the machine started, of all processors, in any unit. */
export interface ProcessorTime {
  readonly busy: number;
  readonly total: number;
}

export interface Machine {
  /** As `process.platform`. */
  readonly platform: string;
  readonly arch: string;
  /** Of the kernel. */
  readonly release: string;
  /** A file of /proc or /sys; undefined where it cannot be read. */
  read(path: string): string | undefined;
  /** Names in a folder, in order; none where it cannot be read. */
  list(path: string): readonly string[];
  /** What a command prints; undefined where it is missing, fails, is late or says too much. */
  run(command: string, args: readonly string[]): Promise<string | undefined>;
  addresses(): readonly LocalAddress[];
  processors(): { readonly model: string; readonly count: number; readonly time: ProcessorTime };
  /** What there is for this process, and what is left of it. */
  memoryBytes(): number;
  freeBytes(): number;
  /** Of the file system that holds the folder. */
  diskFreeBytes(folder: string): Promise<number>;
}

/** This machine. `root` stands before the paths of files, for recorded ones. */
export function thisMachine(root = ""): Machine {
  return {
    platform: process.platform,
    arch: process.arch,
    release: releaseOf(root),
    read: (path) => readText(root + path),
    list: (path) => listFolder(root + path),
    run: runCommand,
    addresses: localAddresses,
    processors: processorsNow,
    memoryBytes: () => Math.min(totalmem(), totalMemory(`${root}/`)),
    freeBytes: () => knownOr(freeMemory(`${root}/`), freemem()),
    async diskFreeBytes(folder) {
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    },
  };
}

const knownOr = (bytes: number, other: number): number => (Number.isFinite(bytes) ? bytes : other);

const releaseOf = (root: string): string => readText(`${root}/proc/sys/kernel/osrelease`)?.trim() ?? "";

const localAddresses = (): readonly LocalAddress[] =>
  Object.entries(networkInterfaces()).flatMap(([name, list = []]) =>
    list.map(({ address, netmask, internal }) => ({ interface: name, address, netmask, internal })),
  );

function processorsNow() {
  const list = processorList();
  const time = { busy: 0, total: 0 };
  for (const { times } of list) {
    const total = times.user + times.nice + times.sys + times.idle + times.irq;
    time.total += total;
    time.busy += total - times.idle;
  }
  return { model: list[0]?.model ?? "", count: list.length, time };
}
