/** Whether what is to be fetched finds room on this machine's disk, and what is said where it does not. */
import type { NodeId } from "#protocol/ids";
import { Problem } from "#protocol/problem";
import { shownBytes } from "../terminal/table.ts";

export interface DiskRoomPorts {
  readonly self: NodeId;
  readonly nameOf: (node: NodeId) => string;
  /** Where models are kept. */
  readonly modelsFolder: string;
  /** Bytes that may still be written to the disk of a folder. */
  readonly freeBytes: (folder: string) => Promise<number>;
}

/** Left free, for everything else that writes there. */
const RESERVE_BYTES = 64e6;

export class DiskRoom {
  readonly #ports: DiskRoomPorts;
  readonly #model: string;

  constructor(ports: DiskRoomPorts, model: string) {
    this.#ports = ports;
    this.#model = model;
  }

  /** Throws Problem `doesNotFit` where so many bytes do not. */
  async require(needed: number): Promise<void> {
    const { freeBytes, modelsFolder } = this.#ports;
    if (needed > 0 && needed + RESERVE_BYTES > (await freeBytes(modelsFolder)))
      throw await this.#full(needed);
  }

  /** A write that failed as the disk is full, in words. */
  async explained(error: unknown): Promise<unknown> {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    return code === "ENOSPC" || code === "EDQUOT" ? await this.#full(0) : error;
  }

  async #full(needed: number): Promise<Problem> {
    const { freeBytes, modelsFolder, nameOf, self } = this.#ports;
    const free = shownBytes(await freeBytes(modelsFolder));
    const need = needed > 0 ? `${shownBytes(needed)} more are needed for` : "there is no more room for";
    return new Problem(
      "doesNotFit",
      `the disk of ${nameOf(self)} is full: ${need} its part of ${this.#model} in ${modelsFolder}, ${free} are free`,
      {
        remedy: `free some space there (exo ls, exo rm), or leave it out with --nodes; what has arrived is kept`,
      },
    );
  }
}
