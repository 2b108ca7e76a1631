/** That what arrived of a model belongs to what was asked for, before more of it is fetched. */
import { wholeDigest } from "#actors/shard-worker/weights/checkpoint-digest";
import { viewHeads } from "#actors/shard-worker/weights/checkpoint-view";
import type { PartialCopy } from "#actors/shard-worker/weights/partial-copy";
import type { DigestParts } from "#protocol/copying";
import { Problem, problemBody } from "#protocol/problem";

/** Throws Problem where these are not the parts of that digest: it is their hash, so that nobody can make them up. */
export function checkParts(parts: DigestParts | undefined, digest: string): DigestParts {
  if (!parts)
    throw new Problem("unavailable", "its exo is older, and does not say what its copy is compared by");
  if (wholeDigest(parts) === digest) return parts;
  throw new Problem("invalid", "what its copy is said to be compared by is not what was asked for");
}

/**
 * Config, tokenizer and what the headers say of the tensors, against the parts of the digest that was agreed on.
 * Throws Problem `invalid`. Of the weights themselves nothing is known by that.
 */
export async function checkHeads(copy: PartialCopy, parts: DigestParts): Promise<void> {
  const heads = (await copy.hasItsHeads()) ? await headsOf(copy) : undefined;
  const odd = (["config", "tensors", "tokenizer"] as const).filter((part) => heads?.[part] !== parts[part]);
  if (odd.length > 0)
    throw new Problem(
      "invalid",
      `what it gave is not the model that was asked for, by its ${odd.join(" and ")}`,
    );
}

async function headsOf(copy: PartialCopy): Promise<Omit<DigestParts, "weights">> {
  try {
    return await viewHeads(copy.path);
  } catch (error) {
    throw new Problem("invalid", `what arrived is no sound model: ${problemBody(error).message}`, {
      cause: error,
    });
  }
}
