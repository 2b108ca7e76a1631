/** This node's facts, kept fresh: each group of probes at its own pace, one round of a group at a time. */

import type { Clock } from "#actors/runtime/clock";
import { crashOf } from "#actors/runtime/part";
import { type NodeFacts, PLACEMENTS } from "#protocol/node";
import type { MeasuredSpeeds } from "#protocol/speeds";
import { boundedFacts } from "./bounded-facts.ts";
import { linuxProbe } from "./probes/linux.ts";
import type { Machine, ProcessorTime } from "./probes/machine.ts";
import { macosProbe } from "./probes/macos.ts";
import { plainProbe } from "./probes/other.ts";
import type { Probe, SomeFacts } from "./probes/probe.ts";

export interface SensorOptions {
  readonly clock: Clock;
  readonly machine: Machine;
  /** As others see this node. */
  readonly name: string;
  readonly version: string;
  /** Where models are kept; it need not exist yet. */
  readonly modelsFolder: string;
  /** What was measured of models that were computed here. */
  readonly speeds?: () => readonly MeasuredSpeeds[];
  /** The facts are others than before, perhaps only a little. */
  readonly changed: () => void;
}

/** Often enough for who looks on, seldom enough for a machine that rests. */
const QUICK_MS = 5000;
const SLOW_MS = 10_000;
const DEAR_MS = 300_000;

type Group = "fixed" | "quick" | "slow" | "dear" | "disk";

export class Sensors {
  readonly #options: SensorOptions;
  readonly #probe: Probe;
  readonly #parts = new Map<Group, SomeFacts>();
  readonly #cancels = new Map<Group, () => void>();
  #time: ProcessorTime | undefined;
  #stopped = false;
  /** What the runtime says of any machine, asked once; probes know better. */
  readonly #plain: Pick<NodeFacts, "chip" | "cores" | "memoryBytes" | "freeBytes">;
  #facts: NodeFacts;

  constructor(options: SensorOptions) {
    this.#options = options;
    const { machine } = options;
    this.#probe = probeOf(machine);
    const { model: chip, count: cores } = machine.processors();
    this.#plain = { chip, cores, memoryBytes: machine.memoryBytes(), freeBytes: machine.freeBytes() };
    this.#facts = this.#assembled();
  }

  get facts(): NodeFacts {
    return this.#facts;
  }

  /** Nothing waits for it: a share that is gone or a command that hangs delays only what it would tell. */
  start(): void {
    const probe = this.#probe;
    this.#time = probe.time();
    this.#rounds("fixed", () => probe.fixed());
    this.#rounds("quick", () => this.#quick(), QUICK_MS);
    this.#rounds("slow", () => probe.slow(), SLOW_MS);
    this.#rounds("disk", () => this.#disk(), SLOW_MS);
    this.#rounds("dear", () => probe.dear(), DEAR_MS);
  }

  stop(): void {
    this.#stopped = true;
    for (const cancel of this.#cancels.values()) cancel();
  }

  #rounds(group: Group, ask: () => Promise<SomeFacts>, everyMs?: number): void {
    void this.#round(group, ask, everyMs).catch(crashOf(this.#options.clock));
  }

  /** Asks one group, then waits: a group that is late makes its own rounds rarer, not more. */
  async #round(group: Group, ask: () => Promise<SomeFacts>, everyMs?: number): Promise<void> {
    const part = await ask().catch(() => ({})); // A probe that fails tells nothing.
    if (this.#stopped) return;
    this.#parts.set(group, part);
    this.#facts = this.#assembled();
    this.#options.changed();
    if (everyMs === undefined) return;
    const next = this.#options.clock.after(everyMs, () => this.#rounds(group, ask, everyMs));
    this.#cancels.set(group, next);
  }

  async #quick(): Promise<SomeFacts> {
    const [before, now] = [this.#time, this.#probe.time()];
    this.#time = now;
    const passed = before && now ? now.total - before.total : 0;
    const busy = before && now && passed > 0 ? { busy: (now.busy - before.busy) / passed } : {};
    return { ...(await this.#probe.quick()), ...busy };
  }

  /** Of the nearest folder above that exists. */
  async #disk(): Promise<SomeFacts> {
    const { machine, modelsFolder } = this.#options;
    for (let folder = modelsFolder; ; folder = folder.slice(0, Math.max(1, folder.lastIndexOf("/")))) {
      try {
        return { diskFreeBytes: await machine.diskFreeBytes(folder) };
      } catch {
        if (folder.length <= 1) return {};
      }
    }
  }

  #assembled(): NodeFacts {
    const { machine, name, version, speeds } = this.#options;
    const measured = speeds?.() ?? [];
    return boundedFacts({
      ...this.#plain,
      name,
      version,
      os: `${machine.platform} ${machine.release}`,
      arch: machine.arch,
      accelerators: [],
      interfaces: [],
      rdma: "none",
      placements: [...PLACEMENTS],
      // This build's own ability: what it says, others count on.
      hidden: ["8bit"],
      ...(measured.length > 0 && { speeds: [...measured] }),
      ...Object.assign({}, ...this.#parts.values()),
    });
  }
}

function probeOf(machine: Machine): Probe {
  if (machine.platform === "linux") return linuxProbe(machine);
  return machine.platform === "darwin" ? macosProbe(machine) : plainProbe(machine);
}
