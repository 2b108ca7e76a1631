/** Ranks that MLX itself adds up for, by RDMA: what its backend jaccl is told, and how long anybody waits in it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MxArray } from "#ffi/array";
import { hasBackend, MlxGroup, setDeadline } from "#ffi/collectives";
import type { NativeMlx } from "#ffi/native";
import type { GroupWay } from "#protocol/collective";
import { Problem } from "#protocol/problem";
import type { Rank } from "./rank-collective.ts";

export interface MeshPorts {
  readonly mlx: NativeMlx;
  readonly way: GroupWay;
  readonly rank: Rank;
  /** A sum that does not come in so long ends this process. */
  readonly patienceMs: number;
  /** What MLX is to make the group by; a test takes one that needs no devices. */
  readonly made?: (settings: Readonly<Record<string, string>>) => MlxGroup;
}

/** Rows at once that a step of answers has: their sums are left to MLX, which computes on where it need not wait for the CPU. */
const LAZY_ROWS = 8;

/** What MLX's jaccl reads (mlx/distributed/jaccl/lib/jaccl/jaccl.cpp): its rank, a file with the devices, and where the first rank listens. */
export const meshSettings = (
  { devices, host }: GroupWay,
  { rank }: Rank,
  { port, file }: { readonly port: number; readonly file: string },
): { readonly variables: Readonly<Record<string, string>>; readonly devices: string } => ({
  variables: { MLX_RANK: String(rank), MLX_IBV_DEVICES: file, MLX_JACCL_COORDINATOR: `${host}:${port}` },
  devices: JSON.stringify(devices),
});

export class Mesh {
  readonly #ports: MeshPorts;
  #group: MlxGroup | undefined;

  constructor(ports: MeshPorts) {
    this.#ports = ports;
  }

  /** Whether this MLX was built with that backend, and finds on this machine what it needs. */
  get isThere(): boolean {
    const { mlx, way, made } = this.#ports;
    return made !== undefined || hasBackend(mlx, way.backend);
  }

  /** On the first rank, before it has met the others: a port that is free there. Throws Problem. */
  freePort(): number | undefined {
    const { way, rank } = this.#ports;
    if (this.#group || rank.rank > 0 || !this.isThere) return undefined;
    try {
      const listener = Bun.listen({ hostname: way.host, port: 0, socket: { data() {} } });
      const { port } = listener;
      listener.stop(true);
      return port;
    } catch (cause) {
      throw new Problem("unavailable", `the ranks cannot meet at ${way.host}: it cannot be listened on`, {
        cause,
      });
    }
  }

  /** A pass begins, in which all ranks are: whoever is lost from here on is waited for no longer than a while. Throws Problem. */
  begin(port: number | undefined): void {
    this.#wait();
    if (this.#group) return;
    try {
      this.#group = this.#met(port);
    } catch (error) {
      this.rest();
      throw error;
    }
    this.#wait();
  }

  /** Nothing is waited for. */
  rest(): void {
    setDeadline(this.#ports.mlx, 0, "");
  }

  sum(part: MxArray): MxArray {
    return this.#taken(part, this.#of.sum(part));
  }

  gather(part: MxArray): MxArray {
    return this.#taken(part, this.#of.gather(part));
  }

  close(): void {
    this.rest();
    this.#group?.close();
    this.#group = undefined;
  }

  get #of(): MlxGroup {
    if (!this.#group) throw new Error("ranks add up within a pass alone");
    return this.#group;
  }

  /** Those of a prompt are waited for one by one: each takes long, and a GPU must not be kept waiting for ranks (mlx.md 4.7). */
  #taken(part: MxArray, made: MxArray): MxArray {
    this.#wait();
    const rows = part.shape.slice(0, -1).reduce((product, length) => product * length, 1);
    if (rows > LAZY_ROWS) this.#ports.mlx.eval([made]);
    return made;
  }

  #wait(): void {
    const { mlx, rank, patienceMs } = this.#ports;
    const why = `rank ${rank.rank} of ${rank.world} waited ${patienceMs / 1000} s for the sums of the others`;
    setDeadline(mlx, patienceMs, why);
  }

  #met(port: number | undefined): MlxGroup {
    if (port === undefined) throw new Problem("unavailable", "the first rank did not say where to meet");
    const { mlx, way, rank, made } = this.#ports;
    const folder = mkdtempSync(join(tmpdir(), "exo-devices-"));
    const { variables, devices } = meshSettings(way, rank, { port, file: join(folder, "devices.json") });
    try {
      writeFileSync(join(folder, "devices.json"), devices);
      const options = { backend: way.backend, settings: variables, ...rank };
      return made?.(variables) ?? new MlxGroup(mlx, options);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Problem("unavailable", `the ranks did not meet by ${way.backend}: ${why}`, { cause });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
