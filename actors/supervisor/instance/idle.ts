/** When a model is held in memory and nobody needs it, so that another may have its room. */
import { Problem } from "#protocol/problem";

export interface IdleRule {
  /** Without a request for so long. */
  readonly afterMs: number;
  /** Models that are kept whatever comes, by the names that they are shown by: `keptNames`. */
  readonly kept: readonly string[];
}

interface Models {
  /** The model that a user's name means; throws Problem. */
  readonly find: (name: string) => Promise<{ readonly name: string }>;
  /** Such a model may come, or another machine have it: it is said, and is no error. */
  readonly missing: (why: string) => void;
}

/** The names that those of the settings are shown by, and these themselves: a home may call a model by what it was asked for. */
export async function keptNames(kept: readonly string[], { find, missing }: Models): Promise<string[]> {
  const names = kept.map(async (name) => {
    try {
      return [name, (await find(name)).name];
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      missing(`models.keep in exo.yaml names ${name}, which keeps nothing yet: ${error.message}`);
      return [name];
    }
  });
  return [...new Set((await Promise.all(names)).flat())];
}

/** `10 min`, `45 s`: how long nobody asked. */
export function shownIdle(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
}
