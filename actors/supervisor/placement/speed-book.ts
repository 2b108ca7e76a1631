/** What this machine measured of its own speed, kept on disk so that it is measured once: the newest first, a few families. */
import { readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { Type as t } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { KV_BYTES } from "#actors/planner/home";
import { learned, type Model, measuredOf } from "#actors/planner/measured-speeds";
import { readCheckpoint, readModelShape } from "#actors/shard-worker/weights/checkpoint";
import { Problem } from "#protocol/problem";
import type { Shard } from "#protocol/shard";
import { MeasuredSpeeds, type Pace, SPEEDS_MAX } from "#protocol/speeds";
import { filled } from "../home/own-files.ts";

const Kept = t.Object({ by: t.String(), speeds: t.Array(MeasuredSpeeds, { maxItems: SPEEDS_MAX }) });
const check = TypeCompiler.Compile(Kept);

export interface SpeedBookPorts {
  /** Where it is kept. */
  readonly folder: string;
  /** What computes: the version, kernels and threads. What another measured is forgotten. */
  readonly by: string;
  /** For the log: what nobody waits for. */
  readonly troubled: (why: string) => void;
}

export class SpeedBook {
  readonly #ports: SpeedBookPorts;
  readonly #path: string;
  #speeds: readonly MeasuredSpeeds[];
  /** By path: models that are loaded here. */
  readonly #models = new Map<string, Omit<Model, "kvBytes">>();
  /** The last writing of the file; the next begins after it. */
  #written = Promise.resolve();

  constructor(ports: SpeedBookPorts) {
    this.#ports = ports;
    this.#path = join(ports.folder, "speeds.json");
    this.#speeds = keptAt(this.#path, ports.by);
  }

  /** The newest first. */
  get speeds(): readonly MeasuredSpeeds[] {
    return this.#speeds;
  }

  /** Of models like that one. */
  of(model: Omit<Model, "kvBytes">): MeasuredSpeeds | undefined {
    return measuredOf(this.#speeds, model);
  }

  /** Joins what a worker measured with what is known; undefined where it says nothing. */
  learn(model: Model, pace: Pace): MeasuredSpeeds | undefined {
    const before = this.of(model);
    const now = learned(model, pace, before);
    if (!now) return undefined;
    this.#speeds = [now, ...this.#speeds.filter((each) => each !== before)].slice(0, SPEEDS_MAX);
    this.#written = this.#written.then(() => this.#write());
    return now;
  }

  /** A worker's word on the steps of its answers. */
  heard({ path, kvQuant = "f16" }: Shard, pace: Pace): void {
    const model = this.#models.get(path) ?? this.#modelAt(path);
    if (!model) return;
    if (this.#models.size >= SPEEDS_MAX) this.#models.clear();
    this.#models.set(path, model);
    this.learn({ ...model, kvBytes: KV_BYTES[kvQuant] }, pace);
  }

  /** Undefined where the files are gone, or others, since the model was loaded. */
  #modelAt(path: string): Omit<Model, "kvBytes"> | undefined {
    try {
      return modelAt(path);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#ports.troubled(`what was measured of ${path} is not kept: ${error.message}`);
      return undefined;
    }
  }

  /** Resolves when all of it is on disk, or could not be. */
  flushed(): Promise<void> {
    return this.#written;
  }

  /** What is not written is measured again one day. */
  async #write(): Promise<void> {
    const temporary = `${this.#path}.new`;
    try {
      const text = JSON.stringify({ by: this.#ports.by, speeds: this.#speeds });
      await filled(await open(temporary, "w", 0o600), temporary, text);
      await rename(temporary, this.#path);
    } catch (error) {
      this.#ports.troubled(`${this.#path} could not be written: ${String(error)}`);
    }
  }
}

/** Throws Problem. */
export const modelAt = (path: string): Omit<Model, "kvBytes"> => ({
  shape: readModelShape(path),
  quantisation: readCheckpoint(path).facts.quantisation,
});

/** Nothing where there is none yet, or where it is not whole: it can be measured again. */
function keptAt(path: string, by: string): readonly MeasuredSpeeds[] {
  try {
    const kept: unknown = JSON.parse(readFileSync(path, "utf8"));
    return check.Check(kept) && kept.by === by ? kept.speeds : [];
  } catch {
    return [];
  }
}
