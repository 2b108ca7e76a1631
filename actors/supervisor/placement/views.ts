/** What machines told of their checkpoints, for when answers wait and one of them does not say it again in time. */
import type { CheckpointView } from "#protocol/placement";
import { Problem } from "#protocol/problem";
import type { CoordinatorPorts } from "./ports.ts";

/** Of 64 models on 16 machines: what is forgotten is only asked for again. */
const TOLD_MAX = 1024;

/** As `look`; where `again`, a machine that cannot answer now has what it had. Whether that is still so shows when it loads its part. */
export function remembering(look: CoordinatorPorts["look"]): CoordinatorPorts["look"] {
  const told = new Map<string, CheckpointView>();
  return async (node, looking) => {
    const key = `${node} ${looking.model}`;
    try {
      const view = await look(node, looking);
      told.delete(key);
      told.set(key, view);
      for (const oldest of [...told.keys()].slice(0, -TOLD_MAX)) told.delete(oldest);
      return view;
    } catch (error) {
      if (error instanceof Problem && error.kind === "notFound") told.delete(key);
      const before = looking.again ? told.get(key) : undefined;
      if (before) return before;
      throw error;
    }
  };
}
