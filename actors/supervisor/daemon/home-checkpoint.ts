/** A model that this machine lacks, as another of its home has it. */
import type { CheckpointView } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { Client } from "./client.ts";

/** Undefined where none has it, or the exo that is asked is too old for the question. Throws Problem where it cannot tell now, or not to this key. */
export async function checkpointAt(
  daemon: Client,
  model: string,
  signal: AbortSignal,
): Promise<CheckpointView | undefined> {
  const asked = daemon.post<CheckpointView>("/exo/v1/checkpoint", { model }, signal);
  return await asked.catch((error: unknown) => {
    if (error instanceof Problem && error.kind === "notFound") return undefined;
    throw error;
  });
}
