/** This machine's key on disk: made once, readable by its owner alone. */
import { mkdir, open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { freshIdentity, type Identity, identityFromPem } from "#actors/runtime/security/identity";
import { Problem } from "#protocol/problem";
import { BEGIN_ANEW } from "../cluster/record.ts";
import { homeProblem } from "./home-problem.ts";
import { filled, refuseMode } from "./own-files.ts";

/** Reads the key, or makes it at the first start. Throws Problem: unreadable, damaged, or open to others. */
export async function nodeIdentity(home: string): Promise<Identity> {
  const folder = join(home, "node");
  const path = join(folder, "key.pem");
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const pem = (await created(path)) ?? (await readFile(path, "utf8"));
    refuseMode(folder, (await stat(folder)).mode, "700");
    refuseMode(path, (await stat(path)).mode, "600");
    return identityFromPem(pem);
  } catch (error) {
    if (error instanceof Problem) throw damaged(error, path);
    throw homeProblem(error, `${path}, this machine's key, could not be read or made`);
  }
}

/** Undefined when there is a key already: of two first starts at once one makes it, the other reads it. */
async function created(path: string): Promise<string | undefined> {
  const file = await open(path, "wx", 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST") return undefined;
    throw error;
  });
  if (!file) return undefined;
  const { pem } = freshIdentity();
  await filled(file, path, pem);
  return pem;
}

function damaged(problem: Problem, path: string): Problem {
  if (problem.kind !== "invalid") return problem;
  const remedy = `restore ${path} from a backup; without one: ${BEGIN_ANEW}`;
  return new Problem("invalid", `${path}: ${problem.message}`, { remedy, cause: problem });
}
