/** The token that a user has given to this or to another tool for the hub. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ifMissing } from "./hub-cache.ts";

export interface TokenPlaces {
  /** HF_TOKEN, which comes first. */
  readonly hfToken?: string;
  /** HF_TOKEN_PATH. */
  readonly hfTokenPath?: string;
  readonly hfHome?: string;
  /** XDG_CACHE_HOME, or ~/.cache. */
  readonly userCache: string;
}

/** HF_TOKEN, or what `hf auth login` has saved: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables. */
export async function hubToken({
  hfToken,
  hfTokenPath,
  hfHome,
  userCache,
}: TokenPlaces): Promise<string | undefined> {
  const path = hfTokenPath ?? join(hfHome ?? join(userCache, "huggingface"), "token");
  const token = hfToken?.trim() || (await readFile(path, "utf8").catch(ifMissing))?.trim();
  return token === "" ? undefined : token;
}
