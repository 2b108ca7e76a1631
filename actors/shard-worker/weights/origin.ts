/** Which models of this machine came from another one of its home, and not from the hub. */
import { join } from "node:path";
import { readJsonFile } from "./store-folder.ts";

/** Beside the files of a model that was fetched whole from other machines. */
export const ORIGIN = "exo-origin.json";

export interface Origin {
  /** Names of the machines that gave the last of it. */
  readonly machines: readonly string[];
  /** By which it was compared with what was asked for. */
  readonly digest: string;
}

/** In that folder; undefined for a model that came otherwise. */
export async function originIn(folder: string): Promise<Origin | undefined> {
  const { machines, digest } = (await readJsonFile(join(folder, ORIGIN))) ?? {};
  if (!Array.isArray(machines) || typeof digest !== "string") return undefined;
  return { machines: machines.map(String), digest };
}
