/** What the other machines of a home have of a model. */
import type { CheckpointView, OtherCopy } from "#protocol/placement";
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

/** Machines that have another copy than the exo that is asked; none where that is too old for the question, or does not tell this key. */
export async function otherCopiesAt(
  daemon: Client,
  model: string,
  signal: AbortSignal,
): Promise<readonly OtherCopy[]> {
  const asked = daemon.post<Others>("/exo/v1/copies", { model }, signal);
  const { others = [] } = await asked.catch((error: unknown): Others => {
    if (error instanceof Problem && ["notFound", "forbidden"].includes(error.kind)) return {};
    throw error;
  });
  return others;
}

interface Others {
  readonly others?: readonly OtherCopy[];
}
