/** This machine's key on disk: made once, readable by its owner alone. */
import { mkdir, open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { freshIdentity, type Identity, identityFromPem } from "#actors/runtime/security/identity";
import { Problem } from "#protocol/problem";
import { homeProblem } from "./home-problem.ts";

/** Bits that let anybody but the owner in. */
const OTHERS = 0o077;

/** Reads the key, or makes it at the first start. Throws Problem: unreadable, damaged, or open to others. */
export async function nodeIdentity(home: string): Promise<Identity> {
  const folder = join(home, "node");
  const path = join(folder, "key.pem");
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const pem = (await created(path)) ?? (await readFile(path, "utf8"));
    await refuseOpen(folder, "700");
    await refuseOpen(path, "600");
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
  await file.writeFile(pem);
  await file.sync();
  await file.close();
  return pem;
}

async function refuseOpen(path: string, mode: string): Promise<void> {
  const { mode: bits } = await stat(path);
  if (process.platform === "win32" || (bits & OTHERS) === 0) return;
  throw new Problem(
    "forbidden",
    `${path} can be read by others on this machine (mode ${(bits & 0o777).toString(8)})`,
    {
      remedy: `chmod ${mode} '${path}'`,
    },
  );
}

function damaged(problem: Problem, path: string): Problem {
  if (problem.kind !== "invalid") return problem;
  const remedy = `restore ${path} from a backup; without it this machine is a new one: move the file away and pair again`;
  return new Problem("invalid", `${path}: ${problem.message}`, { remedy, cause: problem });
}
