/** Waiting for what the home comes to agree on. */
import type { Clock } from "#actors/runtime/clock";
import type { Epoch } from "#protocol/cluster";
import { Problem } from "#protocol/problem";
import type { Cluster } from "./ports.ts";

/** Resolves once it is so, looked at after each change of the cluster; throws Problem `unavailable` after `ms`. */
export async function until(
  cluster: Pick<Cluster, "changed">,
  clock: Clock,
  ms: number,
  isSo: () => boolean,
): Promise<void> {
  if (isSo()) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const cancel = clock.after(ms, () =>
    reject(new Problem("unavailable", "the change was not heard of in time")),
  );
  const end = cluster.changed(() => isSo() && resolve());
  await promise.finally(() => {
    cancel();
    end();
  });
}

/** Who leads tells all members four times a second what is agreed. */
const HEARD_MS = 2000;

/** What was agreed is known here a moment later: who asked for it sees it. */
export async function heardOf(
  agreed: Promise<Epoch>,
  cluster: Pick<Cluster, "changed">,
  clock: Clock,
  raft: { readonly committed: number },
): Promise<Epoch> {
  const epoch = await agreed;
  // A link that broke just now delays it.
  await until(cluster, clock, HEARD_MS, () => raft.committed >= epoch.index).catch(() => {});
  return epoch;
}
