/** Waiting for what the home comes to agree on. */
import type { Clock } from "#actors/runtime/clock";
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
